using System.Text.Json;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>With --json a failure is one JSON object on one line of standard error, and standard output stays empty.</summary>
internal sealed class JsonErrorTests
{
    [TestCase(ExitCode.WrongUsage, "unknown option --gredy", "generate", "hi", "--gredy", "--json")]
    [TestCase(ExitCode.WrongUsage, "unknown command 'frob'", "--json", "frob")]
    [TestCase(ExitCode.WrongUsage, "--top-logprobs is '21'", "generate", "hello", "--top-logprobs", "21", "--json")]
    [TestCase(ExitCode.WrongUsage, "--runs is '1'", "-j", "bench", "--runs", "1")]
    [TestCase(ExitCode.WrongUsage, "--context is 5000", "info", "--context", "5000", "--json=true")]
    [TestCase(ExitCode.Failed, "/no/such/model: no such directory", "info", "--model", "/no/such/model", "--json")]
    [TestCase(ExitCode.Failed, "a\nb: no such file", "perplexity", "a\nb", "--json")]
    [TestCase(ExitCode.Failed, "config.json", "doctor", "--model", "/", "--json")]
    public void AFailureIsOneObject(int code, string message, params string[] args)
    {
        CommandLine run = CommandLine.Run(args).Expect(code);

        Assert.That(run.Output, Is.Empty);
        Assert.That(run.Error.IndexOf('\n', StringComparison.Ordinal), Is.EqualTo(run.Error.Length - 1), "one line");
        JsonElement error = JsonElement.Parse(run.Error);
        Assert.That(error.GetProperty("error").GetString(), Does.Contain(message));
        Assert.That(error.GetProperty("exit_code").GetInt32(), Is.EqualTo(code));
        Assert.That(error.TryGetProperty("details", out _), Is.False);
    }

    [TestCase("info", "--frob")]
    [TestCase("info", "--frob", "--json=false")]
    [TestCase("tokenize", "--frob", "--", "--json")]
    public void WhoAsksForNoJsonGetsALine(params string[] args) =>
        Assert.That(CommandLine.Run(args).Expect(ExitCode.WrongUsage).Error, Does.StartWith("qwen: unknown option --frob"));

    [Test]
    public void VerboseAddsTheStackTraceToTheObject() =>
        Assert.That(
            JsonElement.Parse(CommandLine.Run("info", "--model", "/no/such", "--json", "--verbose").Expect(ExitCode.Failed).Error).GetProperty("details").GetString(),
            Does.Contain("   at "));

    [Test]
    public void AnInterruptIsAnObjectToo()
    {
        using var error = new StringWriter();
        using var terminal = new Terminal(TextReader.Null, TextWriter.Null, error);
        Task<QwenModel> Interrupt(string path, ModelOptions options, IProgress<LoadProgress>? progress, CancellationToken cancellation)
        {
            terminal.Interrupts.Raise();
            throw new OperationCanceledException(cancellation);
        }

        Assert.That(CommandLine.RunOn(terminal, Interrupt, "generate", "hi", "--json"), Is.EqualTo(ExitCode.Interrupted));
        Assert.That(error.ToString(), Is.EqualTo("{\"error\":\"interrupted\",\"exit_code\":130}\n"));
    }
}
