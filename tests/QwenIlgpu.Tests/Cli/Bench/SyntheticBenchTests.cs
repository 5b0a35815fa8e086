using System.Text.Json;
using QwenIlgpu.Cli.Bench;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>`qwen bench --synthetic`.</summary>
[NonParallelizable]
internal sealed class SyntheticBenchTests
{
    [TestCase(false, Category = "Exhaustive")]
    [TestCase(true)]
    public void MeasuresEveryContextAndEveryNode(bool skipsPrefill)
    {
        string[] skip = skipsPrefill ? ["--skip-prefill"] : [];
        CommandLine run = CommandLine.RunModel(
            ["bench", "--synthetic", "0.8b", "--layers", "4", "--vocabulary", "8192", "--contexts", "5,70", "--decode-tokens", "3", "--nodes", "--bandwidth", "20", "--json", .. skip]).Expect(ExitCode.Done);
        JsonElement report = run.Json;

        Assert.That(report.GetProperty("logits_standard_deviation").GetDouble(), Is.InRange(1, 10));
        Assert.That(report.GetProperty("layers").GetInt32(), Is.EqualTo(4));
        Assert.That(report.GetProperty("cut").GetString(), Does.StartWith("0.8b is cut to 4 of 24 layers and 8192 of 248320 rows of the vocabulary (as asked)"));
        Assert.That(report.GetProperty("bandwidth_is").GetString(), Is.EqualTo("given"));
        JsonElement[] contexts = [.. report.GetProperty("contexts").EnumerateArray()];
        Assert.That(contexts.Select(c => c.GetProperty("context_tokens").GetInt32()), Is.EqualTo(new[] { 5, 70 }));
        foreach (JsonElement context in contexts)
        {
            double median = context.GetProperty("decode_tokens_per_second").GetDouble();
            Assert.That(median, Is.InRange(context.GetProperty("decode_min").GetDouble(), context.GetProperty("decode_max").GetDouble()));
            Assert.That(context.GetProperty("percent_of_roofline").GetDouble(), Is.GreaterThan(0));
            Assert.That(context.GetProperty("prefill_tokens_per_second").ValueKind, Is.EqualTo(skipsPrefill ? JsonValueKind.Null : JsonValueKind.Number));
        }

        // One attention layer of two heads of 256, keys and values in bf16.
        long more = contexts[1].GetProperty("bytes_per_token").GetInt64() - contexts[0].GetProperty("bytes_per_token").GetInt64();
        Assert.That(more, Is.EqualTo(65 * 2 * 2 * 256 * 2));
        JsonElement nodes = report.GetProperty("nodes").GetProperty("9");
        Assert.That(nodes.GetArrayLength(), Is.GreaterThan(20));
        JsonElement node = nodes.EnumerateArray().First(n => n.GetProperty("bytes").GetInt64() > 1_000_000);
        Assert.That(node.GetProperty("predicted_us").GetDouble(), Is.EqualTo(node.GetProperty("bytes").GetInt64() / 20e3).Within(0.01));
        Assert.That(node.GetProperty("gap_us").GetDouble(), Is.EqualTo(node.GetProperty("microseconds").GetDouble() - node.GetProperty("predicted_us").GetDouble()).Within(0.02));
    }

    [Test]
    public void PrintsNodesBesideTheirPredictions()
    {
        CommandLine run = CommandLine.RunModel(
            "bench", "--synthetic", "0.8b", "--layers", "4", "--vocabulary", "256", "--quantize-head", "int8", "--contexts", "2", "--decode-tokens", "1", "--nodes", "--threads", "1").Expect(ExitCode.Done);

        Assert.That(run.Output, Does.Contain("percent of roofline").And.Contain("predicted").And.Contain("gap").And.Contain("layers.3.self_attn"));
        Assert.That(run.Error, Does.Not.Contain("cut"), "who asks for a cut knows");
        Assert.That(run.Error, Does.Contain("qwen: making the weights\nqwen: context 1 of 1: 2 tokens\n"));
    }

    [Test]
    public void AShapeIsWholeWhereMemoryHoldsIt()
    {
        SyntheticCut whole = SyntheticCut.Of("27b", layers: null, vocabulary: null);

        Assert.That(whole.IfItFits("27b", null, null, 15_000_000_000, 20_000_000_000), Is.SameAs(whole));
        Assert.That((whole.Text, whole.Config.NumHiddenLayers, whole.Config.VocabSize), Is.EqualTo(((string?)null, 64, 248320)));
    }

    [TestCase(null, null, "4 of 64 layers and 8192 of 248320")]
    [TestCase(16, null, "16 of 64 layers and 8192 of 248320")]
    [TestCase(null, 1000, "4 of 64 layers and 1000 of 248320")]
    public void AShapeThatDoesNotFitIsCutAndSaysWhy(int? layers, int? vocabulary, string parts)
    {
        SyntheticCut cut = SyntheticCut.Of("27b", layers, vocabulary).IfItFits("27b", layers, vocabulary, 15_000_000_000, 8_000_000_000);

        Assert.That(cut.IsForced);
        Assert.That(cut.Text, Is.EqualTo(
            $"27b is cut to {parts} rows of the vocabulary (its weights take 15.00 GB and 1.50 GB of room, 8.00 GB of memory are available); its speed is not the whole model's"));
    }

    [Test]
    public void PlanOf27BIsTheCommittedOne()
    {
        string committed = Path.Combine(AppContext.BaseDirectory, "data", "launches-27b.md");

        string plan = CommandLine.Run("bench", "--synthetic", "27b", "--plan", "--quantize-head", "int8", "--contexts", "1024,8192,32768").Expect(ExitCode.Done).Output;

        string anew = Path.ChangeExtension(committed, ".new.md");
        if (plan != File.ReadAllText(committed))
            File.WriteAllText(anew, plan);
        Assert.That(plan, Is.EqualTo(File.ReadAllText(committed)), $"bench/results/launches-27b.md is out of date; {anew} is the new one");
    }

    [Test]
    public void PlanAsJsonHasTheSums()
    {
        JsonElement plan = CommandLine.Run("bench", "--synthetic", "4b", "--plan", "--bandwidth", "1000", "--json").Expect(ExitCode.Done).Json;

        JsonElement[] kinds = [.. plan.GetProperty("kinds").EnumerateArray()];
        Assert.That(kinds.Sum(k => k.GetProperty("launches").GetInt32()), Is.EqualTo(plan.GetProperty("launches_per_token").GetInt32()));
        JsonElement context = plan.GetProperty("contexts")[0];
        long bytes = kinds.Sum(k => k.GetProperty("bytes").GetInt64());
        Assert.That(context.GetProperty("bytes_per_token").GetInt64(), Is.EqualTo(bytes));
        Assert.That(context.GetProperty("predicted_us").GetDouble(), Is.EqualTo(bytes / 1e6).Within(0.1));
    }

    [TestCase("--plan goes with --synthetic only", "--plan")]
    [TestCase("--layers goes with --synthetic only", "--layers", "4")]
    [TestCase("--vocabulary goes with --synthetic only", "--vocabulary", "8192")]
    [TestCase("--contexts goes with --synthetic only", "--contexts", "5")]
    [TestCase("--synthetic is '7b'", "--synthetic", "7b")]
    [TestCase("--contexts is '5,x'", "--synthetic", "4b", "--contexts", "5,x")]
    [TestCase("--layers is '6'", "--synthetic", "4b", "--layers", "6")]
    [TestCase("--vocabulary is '100'; it must be a whole number from 256 to 2147483647", "--synthetic", "4b", "--vocabulary", "100")]
    [TestCase("--vocabulary is 300000; 4b has 248320", "--synthetic", "4b", "--vocabulary", "300000", "--plan")]
    [TestCase("--layers is 36; 4b has 32", "--synthetic", "4b", "--layers", "36", "--plan")]
    [TestCase("--prompt-tokens does not go with --synthetic", "--synthetic", "4b", "--prompt-tokens", "5")]
    [TestCase("--model does not go with --synthetic", "--synthetic", "4b", "--model", "/no/such")]
    public void RefusesOptionsThatDoNotGoTogether(string message, params string[] args) =>
        Assert.That(CommandLine.Run(["bench", .. args]).Expect(ExitCode.WrongUsage).Error, Does.Contain(message));
}
