using System.Xml.Linq;
using QwenIlgpu.Bench;

namespace QwenIlgpu.Tests;

/// <summary>`QwenIlgpu.Bench report`.</summary>
[NonParallelizable]
internal sealed class BenchReportTests
{
    private const string Kernels = """[{"name":"ceiling_read","shape":"16-byte words","median_us":400,"min_us":390,"max_us":420,"gigabytes_per_second":3000,"gigaflops_per_second":0,"error":0}]""";

    private const string Synthetic =
        """
        {"kind":"synthetic","model":"synthetic 27b","device":"H100","layers":64,"cut":null,
         "contexts":[{"context_tokens":1024,"prefill_tokens_per_second":null,"decode_tokens_per_second":123.4,"percent_of_roofline":57.3}],
         "nodes":{"1089":[{"scope":"layers.0.mlp","op":"norm_gate_up_swiglu","microseconds":41.5,"bytes":92000000},
                          {"scope":"layers.1.mlp","op":"norm_gate_up_swiglu","microseconds":42.5,"bytes":92000000}]}}
        """;

    [Test]
    public void WithoutResultsEverythingIsPredictedAndSaysSo()
    {
        using var directory = new TemporaryDirectory();

        string page = Report(directory.Path);

        Assert.That(page, Does.Contain("Nothing on this page has been measured on a GPU").And.Contain("not measured").And.Contain("3,082 GB/s"));
        foreach (string picture in (string[])["tokens-per-second.svg", "nodes.svg", "bandwidth.svg"])
        {
            Assert.That(page, Does.Contain($"]({picture})"));
            string svg = File.ReadAllText(Path.Combine(directory.Path, picture));
            Assert.That(XDocument.Parse(svg).Root!.Name.LocalName, Is.EqualTo("svg"));
            Assert.That(svg, Does.Contain("predicted, not measured"), $"legend of {picture}");
            Assert.That(svg, Has.Length.LessThan(300_000));
        }
    }

    [Test]
    public void MeasuredValuesStandBesidePredictedOnes()
    {
        using var directory = new TemporaryDirectory();
        string kernels = Path.Combine(directory.Path, "kernels.json");
        string synthetic = Path.Combine(directory.Path, "synthetic.json");
        File.WriteAllText(kernels, Kernels);
        File.WriteAllText(synthetic, Synthetic);

        string page = Report(Path.Combine(directory.Path, "out"), kernels, synthetic);

        Assert.That(page, Does.Contain("the measured read ceiling, 3,000 GB/s").And.Not.Contain("Nothing on this page"));
        Assert.That(page, Does.Match(@"\| 1,024 \| [0-9.]+ \| 123\.4 \| 57\.3 % \| not measured \|"));
        Assert.That(page, Does.Match(@"\| mlp norm_gate_up_swiglu \| 64 \| [0-9.]+ \| 84\.0 \|"));
        Assert.That(page, Does.Match(@"\| 2,048 \| [0-9.]+ \| not measured \|"));
        Assert.That(page, Does.Contain("| ceiling_read | 16-byte words | 400.0 | 3000.0 | 100 % | 0.0E+000 |").Or.Contain("| ceiling_read | 16-byte words | 400.0 | 3000.0 |"));
    }

    [Test]
    public void ARunThatWasCutIsNoRunOfThe27B()
    {
        using var directory = new TemporaryDirectory();
        string file = Path.Combine(directory.Path, "cut.json");
        File.WriteAllText(file, Synthetic.Replace("\"layers\":64,\"cut\":null", "\"layers\":4,\"cut\":\"no GPU\"", StringComparison.Ordinal));

        string page = Report(Path.Combine(directory.Path, "out"), file);

        Assert.That(page, Does.Match(@"\| 1,024 \| [0-9.]+ \| not measured \|"));
        Assert.That(page, Does.Contain("| after 1024 | synthetic 27b, 4 layers | H100 |"));
    }

    [TestCase("no JSON", "is no JSON")]
    [TestCase("{\"a\":1}", "holds no result")]
    public void RefusesAFileThatIsNoResult(string content, string message)
    {
        using var directory = new TemporaryDirectory();
        string file = Path.Combine(directory.Path, "x.json");
        File.WriteAllText(file, content);
        var errors = new StringWriter();

        Assert.That(ReportCommand.Run([file, "--output", directory.Path], TextWriter.Null, errors), Is.EqualTo(1));
        Assert.That(errors.ToString(), Does.Contain(file).And.Contain(message));
    }

    [Test]
    public void SaysHowItIsUsed()
    {
        var errors = new StringWriter();

        Assert.That(ReportCommand.Run(["x.json"], TextWriter.Null, errors), Is.EqualTo(2));
        Assert.That(errors.ToString(), Does.Contain("--output"));
    }

    private static string Report(string output, params string[] files)
    {
        var errors = new StringWriter();
        Assert.That(ReportCommand.Run([.. files, "--output", output], TextWriter.Null, errors), Is.Zero, errors.ToString());
        return File.ReadAllText(Path.Combine(output, "report.md"));
    }
}
