using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>Width, colours and lines that are drawn over: what of a terminal decides them.</summary>
internal sealed class TerminalTests
{
    private static readonly string[] Thinking =
        ["generate", "What is the capital of Norway?", "--greedy", "--model", TestData.TinyModel, .. CommandLine.Device];

    [TestCase(null, null, 80)]
    [TestCase(null, 120, 120)]
    [TestCase("60", 120, 60)]
    [TestCase("many", 120, 120)]
    [TestCase("", 20, 40)]
    [TestCase("1000", null, 200)]
    public void ColumnsGoesBeforeTheTerminalsWidth(string? columns, int? width, int expected) =>
        Assert.That(Settings(width, ("COLUMNS", columns)).Width, Is.EqualTo(expected));

    [Test]
    public void NoColorAndTermAreHeeded()
    {
        Assert.That(Settings(80, ("NO_COLOR", "1")), Is.EqualTo(new TerminalSettings(80, IsDumb: false, Colors: false)));
        Assert.That(Settings(80, ("NO_COLOR", "")), Is.EqualTo(new TerminalSettings(80, IsDumb: false, Colors: null)));
        Assert.That(Settings(80, ("TERM", "dumb")), Is.EqualTo(new TerminalSettings(80, IsDumb: true, Colors: null)));
        Assert.That(Settings(80, ("TERM", "xterm")), Is.EqualTo(new TerminalSettings(80, IsDumb: false, Colors: null)));
    }

    [TestCase(true, true, false, null, "auto")]
    [TestCase(false, false, false, null, "auto")]
    [TestCase(false, true, true, null, "auto")]
    [TestCase(false, true, false, false, "auto")]
    [TestCase(true, false, false, false, "always")]
    [TestCase(true, true, true, null, "always")]
    [TestCase(false, true, false, null, "never")]
    public void ThoughtsAreDimmedWhereColoursAre(bool dimmed, bool isTerminal, bool isDumb, bool? colors, string option)
    {
        using var error = new StringWriter();
        using var terminal = new Terminal(TextReader.Null, TextWriter.Null, error) { ErrorIsTerminal = isTerminal, IsDumb = isDumb, Colors = colors };

        Assert.That(CommandLine.RunOn(terminal, [.. Thinking, "--max-tokens", "3", "--color", option]), Is.EqualTo(ExitCode.Done));
        Assert.That(error.ToString().Contains("\e[2m", StringComparison.Ordinal), Is.EqualTo(dimmed));
        if (isDumb)
            Assert.That(error.ToString(), Does.Not.Contain("loading").And.Not.Contain("\r"));
        if (!dimmed)
            Assert.That(error.ToString(), Does.Not.Match("\e\\[[0-9;]*m"), "a bar may move, but has no colour");
    }

    [Test]
    public void ALongPromptShowsHowFarItIsOnATerminal()
    {
        string[] args = ["generate", string.Join(' ', Enumerable.Repeat("river", 150)), "--raw", "--prefill-chunk", "64", "--max-tokens", "1", .. CommandLine.Device];
        using var error = new StringWriter();
        using var terminal = new Terminal(TextReader.Null, TextWriter.Null, error) { ErrorIsTerminal = true };
        Assert.That(CommandLine.RunOn(terminal, args), Is.EqualTo(ExitCode.Done));

        Assert.That(error.ToString(), Does.Match("\r\e\\[Kprompt: 64 of [0-9]+ tokens\r\e\\[K"));
        Assert.That(error.ToString().LastIndexOf("prompt: ", StringComparison.Ordinal), Is.LessThan(error.ToString().LastIndexOf("\r\e[K", StringComparison.Ordinal)), "and is erased");
        Assert.That(CommandLine.Run(args).Expect(ExitCode.Done).Error, Does.Not.Contain("prompt: "));
    }

    [Test]
    public void ALineOfProgressIsDrawnOverAndErased()
    {
        using var error = new StringWriter();
        using var terminal = new Terminal(TextReader.Null, TextWriter.Null, error) { ErrorIsTerminal = true, Width = 5 };
        var line = new ProgressLine(terminal);
        line.Show("one");
        line.Show("too long");
        line.Dispose();
        line.Show("late");

        Assert.That(error.ToString(), Is.EqualTo("\r\e[Kone\r\e[Ktoo \r\e[K"));
    }

    [TestCase(true, "qwen: one\nqwen: two\n")]
    [TestCase(false, "")]
    public void WhereNothingCanBeDrawnOverItIsALineOrNothing(bool everywhere, string expected)
    {
        using var error = new StringWriter { NewLine = "\n" };
        using var terminal = new Terminal(TextReader.Null, TextWriter.Null, error);
        using (var line = new ProgressLine(terminal, everywhere))
        {
            line.Show("one");
            line.Show("two");
        }

        Assert.That(error.ToString(), Is.EqualTo(expected));
    }

    private static TerminalSettings Settings(int? width, params (string Name, string? Value)[] variables) =>
        TerminalSettings.Of(name => variables.FirstOrDefault(v => v.Name == name).Value, width);
}
