using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>Standard streams that are closed, full or left by their reader, as a shell hands them to the process.</summary>
[Platform("Linux")]
internal sealed class StandardStreamTests
{
    private static readonly string[] Info = ["info", "--json", "--model", TestData.TinyModel];

    private static readonly string[] Story =
    [
        "generate", "--raw", "--ignore-eos", "--greedy", "--max-tokens", "4000", "Once upon a time", "--model", TestData.TinyModel, .. CommandLine.Device,
    ];

    private TemporaryDirectory directory = null!;

    [OneTimeSetUp]
    public void RequireExecutable() => QwenProcess.Require();

    [SetUp]
    public void CreateDirectory() => directory = new TemporaryDirectory();

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    [TestCase("| head -c 5")]
    [TestCase("| true", Category = "Exhaustive")]
    public void AReaderThatLeavesEndsAGeneration(string redirections)
    {
        QwenProcess run = QwenProcess.RunInShell(directory.Path, redirections, Story);

        Assert.That(run.ExitCode, Is.EqualTo(ExitCode.Failed), run.Error);
        Assert.That(run.Error, Is.Empty);
    }

    // Nothing is printed before the end, and the reader has left long before.
    [Test]
    public void AReaderThatLeavesEndsAGenerationThatPrintsAtItsEnd()
    {
        QwenProcess run = QwenProcess.RunUnread(directory.Path, "/dev/null", [.. Story, "--json"]);

        Assert.That(run.ExitCode, Is.EqualTo(ExitCode.Failed), run.Error);
        Assert.That(run.Error, Is.Empty);
    }

    private static IEnumerable<TestCaseData> Printing()
    {
        yield return new TestCaseData((object)Info);
        yield return new TestCaseData((object)(string[])["--version"]);
        yield return new TestCaseData((object)(string[])["generate", "--help"]);
        yield return new TestCaseData((object)(string[])["doctor", "--device", "cpu"]);
        yield return new TestCaseData((object)(string[])["bench", "--tune", "--plan", "--output", "."]);
    }

    [TestCaseSource(nameof(Printing))]
    public void AReaderThatLeavesEndsEveryCommandInSilence(string[] args)
    {
        QwenProcess run = QwenProcess.RunUnread(directory.Path, "/dev/null", args);

        Assert.That(run.ExitCode, Is.EqualTo(ExitCode.Failed), run.Error);
        Assert.That(run.Error, Is.Empty);
    }

    [TestCase(">&-", "qwen: standard output is closed; > /dev/null discards what is printed")]
    [TestCase(">/dev/full", "qwen: standard output: No space left on device")]
    [TestCase("2>&-", null)]
    [TestCase("2>/dev/full", null)]
    [TestCase(">&- 2>&-", null, Category = "Exhaustive")]
    [TestCase("<&- >&- 2>&-", null)]
    [TestCase(">/dev/full 2>/dev/full", null, Category = "Exhaustive")]
    public void AStreamThatTakesNothingIsAFailure(string redirections, string? error)
    {
        QwenProcess good = QwenProcess.RunInShell(directory.Path, redirections, "info");
        QwenProcess bad = QwenProcess.RunInShell(directory.Path, redirections, "info", "--frob");

        Assert.That(good.ExitCode, Is.EqualTo(ExitCode.Failed), good.Error);
        Assert.That(good.Error.TrimEnd('\n'), Is.EqualTo(error ?? ""));
        Assert.That(bad.ExitCode, Is.AnyOf(ExitCode.Failed, ExitCode.WrongUsage), bad.Error);
    }

    // The first file that a process with a closed stream opens gets the stream's number.
    [TestCase("2>&-")]
    [TestCase(">&-", Category = "Exhaustive")]
    [TestCase("<&-")]
    [TestCase("<&- >&- 2>&-", Category = "Exhaustive")]
    public void NoFileGetsWhatAClosedStreamIsSent(string redirections)
    {
        string file = directory.File("out.safetensors");
        string input = directory.File("ids.json");
        File.WriteAllText(input, """[{"ids": [1, 2, 3]}, {"ids": [5000000]}]""");

        QwenProcess run = QwenProcess.RunInShell(directory.Path, redirections, ["logits", "--input", input, "--output", file, .. CommandLine.Device]);

        Assert.That(run.ExitCode, Is.EqualTo(ExitCode.Failed), run.Error);
        Assert.That(Directory.GetFileSystemEntries(directory.Path), Is.EqualTo(new[] { input }));
        Assert.That(File.ReadAllText(input), Does.StartWith("[").And.EndsWith("]"));
    }

    [Test]
    public void AReaderThatLeavesEndsAChatInSilence()
    {
        File.WriteAllText(directory.File("lines"), "What is the capital of Norway?\n");
        QwenProcess run = QwenProcess.RunUnread(directory.Path, "lines", ["chat", "--no-thinking", "--greedy", .. CommandLine.Device]);

        Assert.That((run.ExitCode, run.Error), Is.EqualTo((ExitCode.Failed, "")));
    }

    [Test]
    public void AChatWithoutInputEnds()
    {
        QwenProcess run = QwenProcess.RunInShell(directory.Path, "<&-", ["chat", .. CommandLine.Device]);

        Assert.That(run.ExitCode, Is.EqualTo(ExitCode.Done), run.Error);
        Assert.That(run.Error, Does.Not.Contain("   at "));
    }

    [TestCase("</", "qwen: standard input: Is a directory")]
    [TestCase("<&-", "qwen: PROMPT is missing: standard input is empty; run 'qwen generate --help'")]
    public void InputThatCannotBeReadIsOneError(string redirections, string error)
    {
        QwenProcess run = QwenProcess.RunInShell(directory.Path, redirections, "generate", "-");

        Assert.That(run.ExitCode, Is.AnyOf(ExitCode.Failed, ExitCode.WrongUsage), run.Error);
        Assert.That(run.Error, Is.EqualTo(error + "\n"));
    }

    // Two commands that share a file: each goes on where the other ended.
    [Test]
    public void OutputGoesWhereTheStreamStands()
    {
        QwenProcess run = QwenProcess.RunScript(
            directory.Path, "{ \"$0\" \"$@\"; echo between; \"$0\" \"$@\"; } > both; \"$0\" \"$@\" >> both", "--version");

        string[] lines = File.ReadAllLines(directory.File("both"));
        Assert.That(run.ExitCode, Is.Zero, run.Error);
        Assert.That(lines, Is.EqualTo(new[] { lines[0], "between", lines[0], lines[0] }));
    }
}
