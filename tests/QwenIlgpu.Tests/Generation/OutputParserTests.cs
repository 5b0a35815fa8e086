using System.Text.Json.Nodes;

namespace QwenIlgpu.Tests;

[NonParallelizable]
internal sealed class OutputParserTests
{
    private const string Call = "<tool_call>\n<function=f>\n<parameter=k>\na END b\n</parameter>\n</function>\n</tool_call>";

    private static QwenTokenizer Tokenizer { get; } = QwenTokenizer.Load(TestData.TinyModel);

    [Test]
    public void SplitsReasoningFromAnswer() =>
        Assert.That(Parse("<think>\n", "I think.\n</think>\n\nYes.<|im_end|>"), Is.EqualTo(("I think.", "Yes.")));

    [Test]
    public void KeepsBlankLinesInsideReasoningAndAnswer() =>
        Assert.That(Parse("<think>\n", "a\n\nb\n</think>\n\nc\n\nd"), Is.EqualTo(("a\n\nb", "c\n\nd")));

    [Test]
    public void ClosedThinkBlockMeansAnswer() => Assert.That(Parse("<think>\n\n</think>\n\n", "Yes."), Is.EqualTo(("", "Yes.")));

    [Test]
    public void OpensReasoningThatTheModelBegins() => Assert.That(Parse("Hello", "<think>\nwell\n</think>\n\nYes."), Is.EqualTo(("well", "Yes.")));

    [Test]
    public void KeepsToolCallTagsWhereThereAreNoTools() => Assert.That(Parse("x", Call).Answer, Is.EqualTo(Call));

    [Test]
    public void ReadsCallsAfterThoughtsAndText()
    {
        OutputParser parser = Of("<think>\n", ToolSchemas.Of([]));

        Assert.That(Read(parser, $"Hm. {Call}\n</think>\n\nI look.\n\n{Call}<|im_end|>"), Is.EqualTo(($"Hm. {Call}", "I look.")));
        Assert.That(parser.ToolCalls.Select(call => $"{call.Name} {call.Arguments.ToJsonString()}"), Is.EqualTo(new[] { "f {\"k\":\"a END b\"}" }));
    }

    // What a call holds is none of the text that is searched; a call that is none is.
    [TestCase("x " + Call + "y END", "x y ", 1)]
    [TestCase("x <tool_call>\n<function=f>\n END", "x <tool_call>\n<function=f>\n ", 0)]
    [TestCase("x E" + Call + "ND y", "x ", 1)]
    public void StopStringsAreSearchedInTheTextOnly(string output, string expected, int calls)
    {
        OutputParser parser = Of("x", ToolSchemas.Of([]), "END");

        Assert.That(Read(parser, output).Answer, Is.EqualTo(expected));
        Assert.That((parser.Stopped, parser.ToolCalls.Count), Is.EqualTo((true, calls)));
    }

    // Composed answers as tokens, whose texts and bytes end anywhere.
    [Test]
    public void ReadsComposedAnswersTokenByToken([Range(0, 19)] int seed)
    {
        ComposedAnswer answer = ComposedAnswer.Of(seed);
        OutputParser parser = Of(answer.BeginsInThought ? "<think>\n" : "x", ToolSchemas.Of(JsonNode.Parse(ComposedAnswer.Tools)!.AsArray()));

        (string reasoning, string text) = Read(parser, answer.Output);

        string[] calls = [.. parser.ToolCalls.Select(call => ComposedAnswer.Shown(call.Name, call.Arguments))];
        Assert.That(ComposedAnswer.Shown(reasoning, text, calls), Is.EqualTo(answer.Expected));
    }

    [TestCase("<|im_start|>assistant\n[[", true)]
    [TestCase("<|im_start|>user\n[[ what is that?<|im_end|>\n<|im_start|>assistant\n", false)]
    public void MarkersThatAreNoTokensOpenAThoughtAtThePromptsEnd(string prompt, bool open)
    {
        var parser = new OutputParser(Tokenizer, [], new ThinkMarkers("[[", "]]"), null, Tokenizer.Encode(prompt, parseSpecial: true));

        Assert.That(Read(parser, "a]]b"), Is.EqualTo(open ? ("a", "b") : ("", "a]]b")));
    }

    [Test]
    public void StopStringsApplyToTheAnswerOnly() => Assert.That(Parse("<think>\n", "one END\n</think>\n\ntwo END three", "END"), Is.EqualTo(("one END", "two ")));

    [Test]
    public void CountsReasoningTokens()
    {
        int[] ids = Tokenizer.Encode("a b\n</think>\n\nc", parseSpecial: true);
        OutputParser parser = Of("<think>\n", null);
        foreach (int id in ids)
            parser.Append(id);

        Assert.That(parser.ReasoningTokens, Is.EqualTo(Array.IndexOf(ids, Tokenizer.FindToken("</think>")!.Value) + 1));
    }

    private static OutputParser Of(string prompt, ToolSchemas? tools, params string[] stops) =>
        new(Tokenizer, stops, ThinkMarkers.Qwen, tools, Tokenizer.Encode(prompt, parseSpecial: true));

    private static (string Reasoning, string Answer) Parse(string prompt, string output, params string[] stops) => Read(Of(prompt, null, stops), output);

    private static (string Reasoning, string Answer) Read(OutputParser parser, string output)
    {
        var texts = new Dictionary<TextKind, string> { [TextKind.Reasoning] = "", [TextKind.Answer] = "" };
        void Keep(IReadOnlyList<AnswerPiece> pieces)
        {
            foreach (AnswerPiece piece in pieces)
                texts[piece.Kind] += piece.Text;
        }

        foreach (int id in Tokenizer.Encode(output, parseSpecial: true))
            Keep(parser.Append(id));
        Keep(parser.Flush());
        return (texts[TextKind.Reasoning], texts[TextKind.Answer]);
    }
}
