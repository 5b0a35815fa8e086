using System.Text.Json.Nodes;
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

    [TestCase(false, "yes\nadd({\"city\":\"Tromsø <1>\"})\nnow({})\n")]
    [TestCase(true, "")]
    public async Task CallsAreLinesBehindTheAnswer(bool silent, string expected)
    {
        using var output = new StringWriter();
        using var terminal = new Terminal(TextReader.Null, output, TextWriter.Null);
        var writer = new AnswerWriter(terminal, silent);

        await writer.ReadAsync(Calling());

        Assert.That(output.ToString(), Is.EqualTo(expected));
        Assert.That(writer.ToJson()["finish_reason"]!.GetValue<string>(), Is.EqualTo("tool_calls"));
        Assert.That(writer.ToolCalls[0].ToFlatJson().ToJsonString(), Is.EqualTo("""{"id":"call_1","name":"add","arguments":{"city":"Troms\u00F8 \u003C1\u003E"}}"""));
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

    private static async IAsyncEnumerable<GenerationUpdate> Calling()
    {
        await Task.CompletedTask;
        yield return new GenerationUpdate { TokenIds = [1], Text = "yes", Kind = TextKind.Answer };
        yield return new GenerationUpdate
        {
            TokenIds = [2],
            Text = "",
            Kind = TextKind.Answer,
            FinishReason = FinishReason.ToolCalls,
            ToolCalls = [new PromptToolCall("add", new JsonObject { ["city"] = "Tromsø <1>" }) { Id = "call_1" }, new PromptToolCall("now", [])],
        };
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
