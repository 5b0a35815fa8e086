using System.Text;
using System.Text.Json;
using ILGPU.Runtime.Cuda;
using Microsoft.Extensions.Logging;
using QwenIlgpu.Cli;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests.Cli;

/// <summary>How a command ends that cannot go on: what it prints, and that it stops.</summary>
internal sealed class FailureTests
{
    private const int BrokenPipe = 32;

    private static readonly string[] Story =
        ["generate", "Tell me a story.", "--no-thinking", "--greedy", "--ignore-eos", "--max-tokens", "4000", .. CommandLine.Device];

    [TestCase(ExitCode.WrongUsage, "unknown option --frob; text that begins with - goes behind --; unknown option --gredy (did you mean --greedy?); run 'qwen generate --help'", "generate", "--frob", "x", "--gredy")]
    [TestCase(ExitCode.WrongUsage, "--runs is '1'; it must be a whole number from 5 to 1000; --prompt-tokens is '0'; it must be a whole number from 1 to 2147483647; run 'qwen bench --help'", "bench", "--runs", "1", "--prompt-tokens", "0")]
    [TestCase(ExitCode.WrongUsage, "--context is 5000; this model was made for at most 4096 tokens; run 'qwen info --help'", "info", "--context", "5000")]
    [TestCase(ExitCode.Failed, @"no\nsuch: no such file; perplexity takes a file, or - for standard input", "perplexity", "no\nsuch")]
    [TestCase(ExitCode.Failed, "standard input: the number of tokens is 0; perplexity takes at least 2, as nothing comes before the first", "perplexity", "-")]
    public void OneLineSaysWhy(int code, string message, params string[] args) =>
        Assert.That(CommandLine.Run(args).Expect(code).Error, Is.EqualTo($"qwen: {message}\n"));

    [Test]
    public void ControlCharactersOfAnArgumentAreSpelledOut() =>
        Assert.That(CommandLine.Run("info", "--device", "a\nb\e\u2028").Error, Does.StartWith(@"qwen: --device is 'a\nb\u001b\u2028'; it must be"));

    [TestCase("info", "--verbose=maybe")]
    [TestCase("--verbose=maybe")]
    public void AWrongVerboseIsWrongUsage(params string[] args) =>
        Assert.That(CommandLine.Run(args).Expect(ExitCode.WrongUsage).Error, Does.Match(@"\Aqwen: [^\n]*maybe[^\n]*\n\z"));

    // They would stand before the one line; who watches sees them as they come.
    [TestCase(false)]
    [TestCase(true)]
    public void NoticesOfACommandThatFailsAreForThoseWhoWatch(bool watched)
    {
        using var error = new StringWriter();
        using var terminal = new Terminal(TextReader.Null, TextWriter.Null, error) { ErrorIsTerminal = watched };
        CommandLine.RunOn(terminal, (_, _, _, _) => throw new InvalidDataException("no"), "generate", "hi");

        Assert.That(error.ToString().Contains("built-in test model", StringComparison.Ordinal), Is.EqualTo(watched));
        Assert.That(error.ToString(), Does.EndWith("qwen: no\n"));
    }

    [Test]
    public void ADoctorThatFindsAFaultSaysWhich()
    {
        CommandLine run = CommandLine.Run("doctor", "--model", TestData.Golden, "--json").Expect(ExitCode.Failed);

        JsonElement error = JsonElement.Parse(run.Error);
        Assert.That(error.GetProperty("report").GetProperty("model").GetProperty("state").GetString(), Is.EqualTo(error.GetProperty("error").GetString()).And.Contain("config.json"));
        Assert.That(CommandLine.Run("doctor", "--model", TestData.Golden).Expect(ExitCode.Failed).Error, Does.Match(@"\Aqwen: [^\n]*config\.json[^\n]*\n\z"));
    }

    [TestCase(BrokenPipe, "")]
    [TestCase(28, "qwen: no more\n")]
    public void OutputThatTakesNoMoreStopsTheAnswer(int errorNumber, string message)
    {
        using var output = new FailingWriter(goodWrites: 2, errorNumber);
        using var error = new StringWriter();
        using var terminal = new Terminal(TextReader.Null, output, error);

        Assert.That(CommandLine.RunOn(terminal, Story), Is.EqualTo(ExitCode.Failed));
        Assert.That(error.ToString(), Is.EqualTo(message));
        Assert.That(output.BadWrites, Is.InRange(1, 2), "the next piece, and the line feed that ends an answer");
    }

    [Test]
    public void AReaderThatLeavesStopsAnAnswerThatIsPrintedAtItsEnd()
    {
        int asked = 0;
        using var error = new StringWriter();
        using var output = new StringWriter();
        using var terminal = new Terminal(TextReader.Null, output, error) { HasReaderLeft = () => ++asked == 3 };

        Assert.That(CommandLine.RunOn(terminal, [.. Story, "--json"]), Is.EqualTo(ExitCode.Failed));
        Assert.That((asked, output.ToString(), error.ToString()), Is.EqualTo((3, "", "")));
    }

    [Test]
    public void AReaderThatLeavesStopsAPerplexity()
    {
        int asked = 0;
        string text = string.Concat(Enumerable.Repeat("The fox lived by the river. ", 30));
        using var terminal = new Terminal(new StringReader(text), TextWriter.Null, TextWriter.Null) { HasReaderLeft = () => ++asked == 2 };

        Assert.That(CommandLine.RunOn(terminal, ["perplexity", "-", "--context", "16", .. CommandLine.Device]), Is.EqualTo(ExitCode.Failed));
        Assert.That(asked, Is.EqualTo(2));
    }

    // Thoughts, notices and a bar of progress go there.
    [TestCase(false)]
    [TestCase(true)]
    public void AnErrorStreamThatTakesNothingIsAFailureToo(bool watched)
    {
        using var error = new FailingWriter(goodWrites: 0, 28);
        using var terminal = new Terminal(TextReader.Null, TextWriter.Null, error) { ErrorIsTerminal = watched };

        Assert.That(CommandLine.RunOn(terminal, ["generate", "hi", "--greedy", "--max-tokens", "3", "--model", TestData.TinyModel, .. CommandLine.Device]), Is.EqualTo(ExitCode.Failed));
    }

    [Test]
    public void ABarThatCannotBeDrawnAnyMoreThrowsNothing()
    {
        using var error = new FailingWriter(goodWrites: 10, 28);
        using var terminal = new Terminal(TextReader.Null, TextWriter.Null, error) { ErrorIsTerminal = true };
        async Task<QwenModel> LoadUntilTheBarFails(string path, ModelOptions options, IProgress<LoadProgress>? progress, CancellationToken cancellation)
        {
            for (int bytes = 0; error.BadWrites == 0; bytes++)
            {
                progress!.Report(new LoadProgress("loading weights", bytes, int.MaxValue));
                await Task.Yield();
            }
            throw new InvalidDataException("no");
        }

        Assert.That(CommandLine.RunOn(terminal, LoadUntilTheBarFails, "generate", "hi", "--model", TestData.TinyModel), Is.EqualTo(ExitCode.Failed));
    }

    // A command's end may close the stream; a bar that a thread of its own draws would still write there.
    [Test]
    public void ABarIsDrawnByNobodyAfterItsLoad()
    {
        for (int loads = 0; loads < 50; loads++)
        {
            using var error = new StringWriter();
            using var terminal = new Terminal(TextReader.Null, TextWriter.Null, error) { ErrorIsTerminal = true };
            CommandLine.RunOn(
                terminal, (_, _, _, _) => throw new InvalidDataException("no"), "generate", "hi", "--model", TestData.TinyModel);
            string drawn = error.ToString();
            Thread.Yield();

            Assert.That(error.ToString(), Is.EqualTo(drawn));
        }
    }

    // It may be the engine that logs, on a thread where an exception ends the process.
    [Test]
    public void ALogLineThatCannotBeWrittenThrowsNothing()
    {
        using var error = new FailingWriter(goodWrites: 0, 28);
        using var terminal = new Terminal(TextReader.Null, TextWriter.Null, error) { ErrorIsTerminal = true };
        using var log = new TerminalLoggerFactory(terminal, verbose: true);

        Assert.That(() => log.CreateLogger("engine").Log(LogLevel.Warning, default, "a step failed", null, (text, _) => text), Throws.Nothing);
        Assert.That(error.BadWrites, Is.EqualTo(1), "or nothing was tried");
    }

    [TestCase("generate", "-")]
    [TestCase("perplexity", "-")]
    [TestCase("tokenize", "--input", "-")]
    [TestCase("render", "--input", "-")]
    [TestCase("logits", "--input", "-", "--output", "x")]
    public void TheFirstInterruptEndsAWaitForInput(params string[] args)
    {
        using var released = new ManualResetEventSlim();
        using var input = new WaitingReader(released);
        using var error = new StringWriter();
        using var terminal = new Terminal(input, TextWriter.Null, error);
        input.OnRead = () => terminal.Interrupts.Raise();

        Assert.That(CommandLine.RunOn(terminal, args), Is.EqualTo(ExitCode.Interrupted));
        Assert.That(error.ToString(), Is.EqualTo("qwen: interrupted\n"));
        released.Set();
    }

    // A queue that is full, a device that fails or is not installed: nothing that a stack trace would explain.
    [Test]
    public void ForeseenFailuresAreNotCalledUnexpected()
    {
        Exception[] foreseen =
        [
            new EngineQueueFullException(1, 2), new EngineStoppedException("a device", new InvalidOperationException("gone")),
            new DriverCallException("cuMemAlloc failed"), new CudaException(), new TimeoutException("too late"),
            new AggregateException(new IOException("no")),
        ];

        Assert.That(foreseen.Select(ErrorText.Of), Has.All.Not.Contains("unexpected"));
        Assert.That(ErrorText.Of(new KeyNotFoundException("x")), Does.StartWith("unexpected KeyNotFoundException: x (--verbose"));
    }

    [TestCase("512", 2)]
    [TestCase("128", 4)]
    [TestCase("16", 8)]
    public void PerplexityKeepsAsManyWindowsAtHandAsFillAStep(string context, int atOnce)
    {
        CommandLine run = CommandLine.RunWithInput("The fox.", ["perplexity", "-", "--context", context, "--json", "--device", "cpu"]).Expect(ExitCode.Done);

        Assert.That(run.Json.GetProperty("windows_at_once").GetInt32(), Is.EqualTo(atOnce));
    }

    private sealed class FailingWriter(int goodWrites, int errorNumber) : TextWriter
    {
        private int writes;

        public int BadWrites => Math.Max(0, writes - goodWrites);

        public override Encoding Encoding => Encoding.UTF8;

        public override void Write(char value)
        {
            if (Interlocked.Increment(ref writes) > goodWrites)
                throw new IOException("no more", errorNumber);
        }

        public override void Write(string? value) => Write('x');

        public override void WriteLine() => Write('\n');

        public override void WriteLine(string? value) => Write('\n');
    }

    private sealed class WaitingReader(ManualResetEventSlim released) : TextReader
    {
        public Action? OnRead { get; set; }

        public override int Read(char[] buffer, int index, int count)
        {
            OnRead?.Invoke();
            released.Wait();
            return 0;
        }

        public override int Read(Span<char> buffer) => Read([], 0, 0);

        public override string ReadToEnd()
        {
            Read([], 0, 0);
            return "";
        }
    }
}
