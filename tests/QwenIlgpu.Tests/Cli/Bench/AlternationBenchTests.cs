using System.Text.Json;
using QwenIlgpu.Cli.Bench;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>`qwen bench --decoding`.</summary>
[NonParallelizable]
internal sealed class AlternationBenchTests
{
    [Category("Exhaustive")]
    [Test]
    public void TimesAPromptBesideDecodingSequences()
    {
        JsonElement report = CommandLine.RunModel(
            "bench", "--prompt-tokens", "200", "--decode-tokens", "1", "--prefill-chunk", "64", "--decoding", "2", "--json").Expect(ExitCode.Done).Json;

        Assert.That(report.GetProperty("prefill_chunk_tokens").GetInt32(), Is.EqualTo(64));
        JsonElement alternation = report.GetProperty("alternation");
        Assert.That(alternation.GetProperty("decoding_sequences").GetInt32(), Is.EqualTo(2));
        Assert.That(alternation.GetProperty("prefill_steps").GetInt32(), Is.EqualTo(4));
        Assert.That(alternation.GetProperty("decode_steps").GetInt32(), Is.InRange(3, 4), "one between any two of the four");
        double both = alternation.GetProperty("alternating_ms").GetDouble();
        Assert.That(alternation.GetProperty("ms_between_tokens").GetDouble(), Is.EqualTo(both / alternation.GetProperty("decode_steps").GetDouble()).Within(0.01));
        foreach (string time in (string[])["prefill_alone_ms", "decode_step_alone_ms", "packed_ms"])
            Assert.That(alternation.GetProperty(time).GetDouble(), Is.GreaterThan(0), time);
    }

    [Test]
    public void SyntheticModelIsTimedToo()
    {
        JsonElement report = CommandLine.RunModel(
            "bench", "--synthetic", "0.8b", "--layers", "4", "--contexts", "3", "--decode-tokens", "1", "--skip-prefill", "--decoding", "1",
            "--bandwidth", "20", "--json").Expect(ExitCode.Done).Json;

        Assert.That(
            report.GetProperty("alternation").EnumerateArray().Select(a => a.GetProperty("prompt_tokens").GetInt32()), Is.EqualTo(new[] { 3 }));
    }

    [Test]
    public void RefusesWhatTheModelCannotHold()
    {
        Assert.That(
            CommandLine.Run("bench", "--prompt-tokens", "4096", "--decode-tokens", "1", "--decoding", "1").Expect(ExitCode.WrongUsage).Error,
            Does.Contain("4096"));
    }
}
