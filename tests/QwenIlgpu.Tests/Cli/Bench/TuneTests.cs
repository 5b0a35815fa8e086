using QwenIlgpu.Cli.Bench;
using QwenIlgpu.Cli;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests.Cli;

/// <summary>`qwen bench --tune` and the predicted prompts.</summary>
[NonParallelizable]
internal sealed class TuneTests
{
    [Test]
    public void CommittedTablesAreThePredictedOnes()
    {
        using var directory = new TemporaryDirectory();

        string[] paths = CommandLine.Run("bench", "--tune", "--plan", "--output", directory.Path).Expect(ExitCode.Done).Output.TrimEnd().Split('\n');

        Assert.That(paths, Is.EqualTo(PrefillRates.All.Select(r => $"predicted: {Path.Combine(directory.Path, r.Architecture)}.json")));
        Assert.That(Directory.GetFiles(directory.Path), Has.Length.EqualTo(paths.Length), "nothing lies about");
        foreach (PrefillRates rates in PrefillRates.All)
        {
            string file = $"{rates.Architecture}.json";
            using var committed = new StreamReader(typeof(PrefillTables).Assembly.GetManifestResourceStream($"tiles/{file}")!);
            Assert.That(
                File.ReadAllText(Path.Combine(directory.Path, file)), Is.EqualTo(committed.ReadToEnd()),
                $"`{TuneCommand.PlanCommand} --output kernels/MatMul/Tuning/tiles` writes another {file}");
        }
    }

    [Test]
    [Platform("Linux,MacOsX")]
    public void ATableBehindALinkIsReplacedAndADeviceIsNot()
    {
        using var directory = new TemporaryDirectory();
        Directory.CreateDirectory(directory.File("folder"));
        File.WriteAllText(directory.File("file"), "");
        string table = directory.File("folder/sm_90.json");
        File.CreateSymbolicLink(table, "../elsewhere.json");
        string[] tune = ["bench", "--tune", "--plan", "--output"];

        CommandLine.Run([.. tune, directory.File("folder")]).Expect(ExitCode.Done);
        Assert.That(new FileInfo(table).LinkTarget, Is.EqualTo("../elsewhere.json"));
        Assert.That(File.ReadAllText(directory.File("elsewhere.json")), Does.StartWith("{"));

        File.Delete(table);
        File.CreateSymbolicLink(table, "/dev/null");
        Assert.That(CommandLine.Run([.. tune, directory.File("folder")]).Expect(ExitCode.Failed).Error, Is.EqualTo($"qwen: {table} is no file; move it away\n"));
        Assert.That(new FileInfo(table).LinkTarget, Is.EqualTo("/dev/null"));
        Assert.That(CommandLine.Run([.. tune, directory.File("file")]).Expect(ExitCode.Failed).Error, Does.Contain("is no directory"));
    }

    // Of the layers and the head of all four models, as their prefill steps are recorded.
    [Test]
    public async Task EveryMatMulOfASyntheticModelHasTiles()
    {
        foreach (PrefillShape shape in await PrefillTuner.SyntheticShapesAsync())
            Assert.That(PrefillTables.Of("sm_90")!.Find(shape, 64, 132), Is.Not.Null, shape.ToString());
    }

    [Test]
    public async Task WhatIsMeasuredIsAddedToATable()
    {
        using var directory = new TemporaryDirectory();
        PrefillShape shape = (await PrefillTuner.SyntheticShapesAsync())[0];
        TileTime[] times = [new(shape, 64, PrefillTile.Wide, 5), new(shape, 64, PrefillTile.Small, 7), new(shape, 64, PrefillTile.FewTokens, 4)];

        string path = TuneCommand.Write(directory.Path, "sm_90", PrefillTuner.Fastest(times, "GPU \"X\"", 132, "a command"));

        var table = PrefillTable.Parse(File.ReadAllText(path), path);
        Assert.That(table.Sets, Has.Count.EqualTo(PrefillTables.Of("sm_90")!.Sets.Count + 1));
        Assert.That(table.Find(shape, 64, 132), Is.EqualTo(PrefillTile.FewTokens));
        Assert.That(PrefillTables.Of("sm_90")!.Find(shape, 64, 132), Is.Not.EqualTo(PrefillTile.FewTokens), "or this shows nothing");

        TuneCommand.Write(directory.Path, "sm_90", PrefillTuner.Fastest(times[..2], "GPU \"X\"", 132, "a command"));

        Assert.That(PrefillTable.Parse(File.ReadAllText(path), path).Find(shape, 64, 132), Is.EqualTo(PrefillTile.Wide));
    }

    [Test]
    public void TilesOfAModelWithoutAGpuCannotBeMeasured()
    {
        CommandLine run = CommandLine.Run("bench", "--tune", "--synthetic", "0.8b", "--device", "cpu").Expect(ExitCode.Failed);

        Assert.That(run.Error, Does.Contain("--tune measures on a CUDA device").And.Contain("`qwen bench --tune --plan`"));
    }

    [Test]
    public void PromptsOf27BAreTheCommittedOnes()
    {
        string committed = Path.Combine(AppContext.BaseDirectory, "data", "prefill-27b.md");

        string page = CommandLine.Run("bench", "--synthetic", "27b", "--plan", "--prefill", "64,256,512,2048").Expect(ExitCode.Done).Output;

        string anew = Path.ChangeExtension(committed, ".new.md");
        if (page != File.ReadAllText(committed))
            File.WriteAllText(anew, page);
        Assert.That(page, Is.EqualTo(File.ReadAllText(committed)), $"bench/results/predicted/prefill-27b.md is out of date; {anew} is the new one");
    }

    [Test]
    public void PromptsAsJsonAreThoseOfThePage()
    {
        var json = CommandLine.Run("bench", "--synthetic", "4b", "--plan", "--prefill", "64", "--json").Expect(ExitCode.Done).Json;

        Assert.That(json.GetProperty("matmuls").EnumerateArray().Sum(m => m.GetProperty("count").GetInt32()), Is.EqualTo((24 * 3) + (8 * 2) + (32 * 2) + 1), "delta nets, attention, feed-forward and head");
        Assert.That(json.GetProperty("prompts").EnumerateArray().Select(p => p.GetProperty("predicted_tokens_per_second").GetDouble()), Is.All.GreaterThan(0));
    }

    [TestCase("--tune needs --synthetic", "--tune")]
    [TestCase("--output goes with --tune only", "--output", "x")]
    [TestCase("--synthetic does not go with --tune --plan", "--tune", "--plan", "--synthetic", "4b")]
    [TestCase("--contexts does not go with --tune", "--tune", "--synthetic", "4b", "--contexts", "5")]
    [TestCase("--prefill goes with --synthetic only", "--prefill", "64")]
    [TestCase("--prefill goes with --plan or --tune", "--synthetic", "4b", "--prefill", "64")]
    [TestCase("--contexts does not go with --prefill", "--synthetic", "4b", "--plan", "--prefill", "64", "--contexts", "64")]
    [TestCase("--prefill is '9000'; it must be 1 to 16 whole numbers from 1 to 8192", "--synthetic", "4b", "--plan", "--prefill", "9000")]
    public void RefusesOptionsThatDoNotGoTogether(string message, params string[] args) =>
        Assert.That(CommandLine.Run(["bench", .. args]).Expect(ExitCode.WrongUsage).Error, Does.Contain(message));
}
