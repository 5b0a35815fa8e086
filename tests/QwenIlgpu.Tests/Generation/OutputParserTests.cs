namespace QwenIlgpu.Tests;

[NonParallelizable]
internal sealed class OutputParserTests
{
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
    public void KeepsToolCallTags() => Assert.That(Parse("x", "<tool_call>\na</tool_call>").Answer, Is.EqualTo("<tool_call>\na</tool_call>"));

    [Test]
    public void StopStringsApplyToTheAnswerOnly() => Assert.That(Parse("<think>\n", "one END\n</think>\n\ntwo END three", "END"), Is.EqualTo(("one END", "two ")));

    [Test]
    public void CountsReasoningTokens()
    {
        int[] ids = Tokenizer.Encode("a b\n</think>\n\nc", parseSpecial: true);
        var parser = new OutputParser(Tokenizer, [], ThinkMarkers.Qwen, Tokenizer.Encode("<think>\n", parseSpecial: true));
        foreach (int id in ids)
            parser.Append(id);

        Assert.That(parser.ReasoningTokens, Is.EqualTo(Array.IndexOf(ids, Tokenizer.FindToken("</think>")!.Value) + 1));
    }

    private static (string Reasoning, string Answer) Parse(string prompt, string output, params string[] stops)
    {
        var parser = new OutputParser(Tokenizer, stops, ThinkMarkers.Qwen, Tokenizer.Encode(prompt, parseSpecial: true));
        var texts = new Dictionary<TextKind, string> { [TextKind.Reasoning] = "", [TextKind.Answer] = "" };
        foreach (int id in Tokenizer.Encode(output, parseSpecial: true))
        {
            (string text, TextKind kind) = parser.Append(id);
            texts[kind] += text;
        }

        texts[parser.Kind] += parser.Flush();
        return (texts[TextKind.Reasoning], texts[TextKind.Answer]);
    }
}
