using System.Text.Json;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>`qwen perplexity` on the tiny model, and what it counts.</summary>
internal sealed class PerplexityCommandTests
{
    private const string Text = "Long ago, in a house by the beach, there lived a fox. The capital of Norway is Oslo. ";

    [Test]
    public void OfAHandComputation()
    {
        var perplexity = new Perplexity();
        perplexity.Add([(float)-Math.Log(2), (float)-Math.Log(4)]);
        perplexity.Add([(float)-Math.Log(8)]);

        // Mean ln 4; deviations −ln 2, 0, ln 2: variance ln² 2 of three samples.
        Assert.That(perplexity.Tokens, Is.EqualTo(3));
        Assert.That(perplexity.NegativeLogLikelihood, Is.EqualTo(Math.Log(4)).Within(1e-6));
        Assert.That(perplexity.Value, Is.EqualTo(4).Within(1e-6));
        Assert.That(perplexity.StandardError, Is.EqualTo(4 * Math.Log(2) / Math.Sqrt(3)).Within(1e-6));
    }

    [TestCase(10, 4, 4, "0+4:3 4+4:3 8+2:1")]
    [TestCase(9, 4, 4, "0+4:3 4+4:3")]
    [TestCase(10, 4, 2, "0+4:3 2+4:2 4+4:2 6+4:2")]
    [TestCase(9, 4, 3, "0+4:3 3+4:3 6+3:2")]
    [TestCase(5, 4, 1, "0+4:3 1+4:1")]
    [TestCase(3, 4, 4, "0+3:2")]
    [TestCase(1, 4, 4, "")]
    [TestCase(0, 4, 4, "")]
    public void WindowsCountEveryTokenOnceThatSomethingComesBefore(int tokens, int context, int stride, string expected) =>
        Assert.That(string.Join(' ', TextWindow.Of(tokens, context, stride).Select(w => $"{w.Start}+{w.Length}:{w.Counted}")), Is.EqualTo(expected));

    [TestCase(16, 16)]
    [TestCase(16, 5)]
    [TestCase(512, 512)]
    public async Task IsThatOfTheScoresOfItsWindows(int context, int stride)
    {
        string text = Text + Text;
        int[] ids = TestModels.Tiny.Tokenize(text);
        await using var engine = new Engine(TestModels.Tiny);
        var counted = new List<double>();
        foreach (TextWindow window in TextWindow.Of(ids.Length, context, stride))
            counted.AddRange((await engine.ScoreAsync(ids.AsMemory(window.Start, window.Length)))[^window.Counted..].Select(s => -(double)s));
        double mean = counted.Average();
        double error = Math.Exp(mean) * Math.Sqrt(counted.Sum(c => (c - mean) * (c - mean)) / (counted.Count - 1) / counted.Count);

        JsonElement json = CommandLine.RunWithInput(
            text, ["perplexity", "-", "--context", $"{context}", "--stride", $"{stride}", "--json", .. CommandLine.Device]).Expect(ExitCode.Done).Json;

        double Number(string name) => json.GetProperty(name).GetDouble();
        Assert.That((Number("tokens"), Number("counted_tokens"), Number("context"), Number("stride")), Is.EqualTo((ids.Length, counted.Count, context, stride)));
        Assert.That(Number("negative_log_likelihood"), Is.EqualTo(mean).Within(1e-6));
        Assert.That(Number("perplexity"), Is.EqualTo(Math.Exp(mean)).Within(1e-5));
        Assert.That(Number("standard_error"), Is.EqualTo(error).Within(1e-5));
        Assert.That(Number("tokens_per_second"), Is.GreaterThan(0));
    }

    [Test]
    public void PrintsATableForPeople()
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, Text);
            string output = CommandLine.RunModel("perplexity", file).Expect(ExitCode.Done).Output;

            Assert.That(output, Does.Match(@"(?m)^perplexity +\d+\.\d{4} ± \d+\.\d{4}$").And.Match(@"(?m)^windows +1$"));
            Assert.That(output, Does.Match(@"(?m)^negative log likelihood +\d+\.\d{4}$").And.Match("(?m)^tokens per second +[0-9.,]+$"));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Test]
    public void ATextOfFewerThanTwoTokensIsOneClearError()
    {
        string Error(string text) =>
            CommandLine.RunWithInput(text, ["perplexity", "-", .. CommandLine.Device]).Expect(ExitCode.Failed).Error.Split('\n')[^2];

        Assert.That(Error(""), Is.EqualTo("qwen: standard input: the number of tokens is 0; perplexity takes at least 2, as nothing comes before the first"));
        Assert.That(Error("a"), Does.Contain("the number of tokens is 1; perplexity takes at least 2"));
    }

    [Test]
    public void AMissingFileIsNamed() =>
        Assert.That(CommandLine.Run("perplexity", "/no/such.txt").Expect(ExitCode.Failed).Error, Does.Contain("/no/such.txt: no such file"));

    [Test]
    public void AContextBeyondTheModelsIsWrongUsage() =>
        Assert.That(
            CommandLine.RunWithInput(Text, ["perplexity", "-", "--context", "4097", .. CommandLine.Device]).Expect(ExitCode.WrongUsage).Error,
            Does.Contain("--context is 4097").And.Contain("at most 4096"));

    [Test]
    public void ControlTokensCountOnlyWhereAskedFor()
    {
        int Tokens(params string[] options) =>
            CommandLine.RunWithInput("hello<|im_end|>\n", ["perplexity", "-", "--json", .. options, .. CommandLine.Device])
                .Expect(ExitCode.Done).Json.GetProperty("tokens").GetInt32();

        Assert.That(Tokens("--parse-special"), Is.LessThan(Tokens()));
    }

    [Test]
    public void ControlTokensInTheTextAreHintedAt()
    {
        string Error(string text, params string[] options) =>
            CommandLine.RunWithInput(text, ["perplexity", "--model", TestData.TinyModel, .. options, .. CommandLine.Device]).Expect(ExitCode.Done).Error;

        Assert.That(
            Error("hello<|im_end|>\n"),
            Is.EqualTo("qwen: standard input holds control tokens such as <|im_end|>, which count as plain text; --parse-special makes them their ids\n"));
        Assert.That(Error("hello<|im_end|>\n", "--parse-special"), Is.Empty);
        Assert.That(Error("hello <|im_end\n"), Is.Empty);
    }
}
