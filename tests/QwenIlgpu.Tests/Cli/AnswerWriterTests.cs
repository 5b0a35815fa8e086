using QwenIlgpu.Cli;
using QwenIlgpu.Cli.Chat;
using QwenIlgpu.Tests.Cli.Chat;

namespace QwenIlgpu.Tests.Cli;

/// <summary>How thoughts and answers of a generation look.</summary>
internal sealed class AnswerWriterTests
{
    [TestCase(true, true, "\e[2mhm\e[0m\n")]
    [TestCase(true, false, "hm\n")]
    [TestCase(false, true, "hm\n")]
    public async Task ThoughtsAreDimmedWhereATerminalMayShowIt(bool isTerminal, bool usesColours, string expected)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        using var terminal = new Terminal(TextReader.Null, output, error) { ErrorIsTerminal = isTerminal, Colors = usesColours ? null : false };

        await new AnswerWriter(terminal, silent: false).ReadAsync(Updates());

        Assert.That((error.ToString(), output.ToString()), Is.EqualTo((expected, "yes\n")));
    }

    // The screen takes both streams, as a terminal does.
    [TestCase(false, "hm", "yes")]
    [TestCase(true, "yes")]
    public async Task TheSpinnerGivesWayToWhatIsShown(bool folds, params string[] rows)
    {
        var screen = new Screen(40, 5) { NewLine = "\r\n" };
        using var terminal = new Terminal(TextReader.Null, screen, screen) { Colors = false };
        var spinner = new Spinner(screen);
        spinner.Draw();

        await new AnswerWriter(terminal, silent: false, folds, spinner).ReadAsync(Updates(spinner.Draw));

        Assert.That(screen.Text, Is.EqualTo(rows));
        Assert.That(spinner.Label, Is.EqualTo(folds ? "thinking" : ""));
    }

    private static async IAsyncEnumerable<GenerationUpdate> Updates(Action? between = null)
    {
        await Task.CompletedTask;
        yield return new GenerationUpdate { TokenIds = [1], Text = "hm", Kind = TextKind.Reasoning };
        between?.Invoke();
        yield return new GenerationUpdate { TokenIds = [2], Text = "yes", Kind = TextKind.Answer };
        between?.Invoke();
    }
}
