using QwenIlgpu.Bench;

namespace QwenIlgpu.Tests;

[NonParallelizable]
internal sealed class KernelBenchmarksTests
{
    [Test]
    public void ListNamesOneForEveryRoom()
    {
        (int code, string output, _) = Run("--list");

        Assert.That(code, Is.Zero);
        foreach (string name in new[]
        {
            "arg_max", "causal_conv1d", "ceiling_copy", "ceiling_read", "decode_attention", "delta_gates", "delta_prefill", "delta_step", "dense_matmul", "dequant_matmul", "embedding", "feed_tokens", "gated_attention", "gated_delta_rule_chunked",
            "gated_delta_rule_recurrent", "gated_rms_norm", "gather_rows", "gptq_pack", "kv_append", "qk_l2_norm", "qk_norm_rotary", "prefill_attention", "prefill_matmul", "prefill_matmul_expanded", "qk_norm_rotary_append", "rms_norm",
            "round_to_nearest_int4", "sampling", "swiglu", "target_log_probs",
        })
            Assert.That(output, Does.Match($"(?m)^{name} "));
    }

    [Test]
    public void SmokeRunMeasuresAKernel()
    {
        (int code, string output, _) = Run("--smoke", "gather_rows");

        Assert.That(code, Is.Zero);
        Assert.That(output, Does.Match("(?m)^gather_rows .* 64 rows of .* [0-9.]+ +[0-9.]+ +[0-9.]+"));
    }

    [Test]
    public void RefusesToReportAWrongResult()
    {
        KernelBenchmark right = KernelBenchmarks.All.Single(b => b.Name == "gather_rows");
        KernelBenchmark wrong = right with { Prepare = d => right.Prepare(d) with { ErrorAgainstReference = () => double.NaN } };
        var output = new StringWriter();

        int code = KernelBenchmarks.Run(["--smoke"], [wrong], output, TextWriter.Null);

        Assert.That(code, Is.EqualTo(1));
        Assert.That(output.ToString(), Does.Contain("differs from its reference by NaN").And.Contain("not timed"));
    }

    [TestCase("no_such_kernel")]
    [TestCase("--fast")]
    public void RefusesUnknownArguments(string argument)
    {
        (int code, _, string errors) = Run(argument);

        Assert.That(code, Is.EqualTo(2));
        Assert.That(errors, Does.Contain("usage"));
    }

    private static (int Code, string Output, string Errors) Run(params string[] args)
    {
        var output = new StringWriter();
        var errors = new StringWriter();
        int code = KernelBenchmarks.Run(args, KernelBenchmarks.All, output, errors);
        return (code, output.ToString(), errors.ToString());
    }

    [Test]
    [Platform("Linux,MacOsX")]
    public void ResultsGoWhereTheyCanBeWrittenOrNothingIsMeasured()
    {
        using var directory = new TemporaryDirectory();
        string file = directory.File("results.json");
        File.WriteAllText(directory.File("target"), "old");
        File.CreateSymbolicLink(file, "target");
        using var output = new StringWriter();

        Assert.That(KernelBenchmarks.Run(["--json", file], [], TextWriter.Null, TextWriter.Null), Is.Zero);
        Assert.That((new FileInfo(file).LinkTarget, File.ReadAllText(directory.File("target"))), Is.EqualTo(("target", "[]")));
        Assert.Throws<DirectoryNotFoundException>(() => KernelBenchmarks.Run(["--json", directory.File("no/results.json")], [], output, TextWriter.Null));
        Assert.That(output.ToString(), Is.Empty);
    }
}
