namespace QwenIlgpu;

/// <summary>
/// Turns drawn ids into text as it becomes final: reasoning and answer told apart by the think tokens, special tokens dropped,
/// stop strings searched in the answer. The blank lines that the template puts around reasoning belong to neither.
/// </summary>
internal sealed class OutputParser
{
    private readonly StreamingDetokenizer detokenizer;
    private readonly StopMatcher stops;
    private readonly int thinkStart;
    private readonly int thinkEnd;
    private bool trimStart;
    private string heldBlanks = "";

    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="stopStrings">Searched in the answer.</param>
    /// <param name="thinking">The tokens around thoughts.</param>
    /// <param name="promptIds">The prompt: when it leaves a think block open, the output begins as reasoning.</param>
    public OutputParser(QwenTokenizer tokenizer, IReadOnlyList<string> stopStrings, ThinkMarkers thinking, ReadOnlySpan<int> promptIds)
    {
        detokenizer = new StreamingDetokenizer(tokenizer, skipSpecial: true);
        stops = new StopMatcher(stopStrings);
        thinkStart = tokenizer.FindToken(thinking.Start) ?? -1;
        thinkEnd = tokenizer.FindToken(thinking.End) ?? -1;
        bool open = thinkStart >= 0 && promptIds.LastIndexOf(thinkStart) > promptIds.LastIndexOf(thinkEnd);
        Kind = open ? TextKind.Reasoning : TextKind.Answer;
        trimStart = open;
    }

    /// <summary>What the next text belongs to.</summary>
    public TextKind Kind { get; private set; }

    /// <summary>A stop string has been found: what follows is not part of the answer.</summary>
    public bool Stopped => stops.Stopped;

    /// <summary>Tokens that were reasoning, the closing tag included.</summary>
    public int ReasoningTokens { get; private set; }

    /// <summary>Takes one id; returns the text that became final and what it belongs to.</summary>
    public (string Text, TextKind Kind) Append(int id)
    {
        TextKind kind = Kind;
        if (kind == TextKind.Reasoning)
            ReasoningTokens++;
        if (id == thinkStart && kind == TextKind.Answer)
        {
            string before = Emit(detokenizer.Flush(), kind) + stops.Flush();
            (Kind, trimStart) = (TextKind.Reasoning, true);
            return (before, kind);
        }

        if (id == thinkEnd && kind == TextKind.Reasoning)
        {
            string last = Emit(detokenizer.Flush(), kind);
            (Kind, trimStart, heldBlanks) = (TextKind.Answer, true, "");
            return (last, kind);
        }

        return (Emit(detokenizer.Append(id), kind), kind);
    }

    /// <summary>The text still held back, when no more ids will come.</summary>
    public string Flush() => Emit(detokenizer.Flush(), Kind) + stops.Flush();

    private string Emit(string text, TextKind kind)
    {
        if (trimStart)
        {
            text = text.TrimStart('\n');
            if (text.Length == 0)
                return "";
            trimStart = false;
        }

        if (kind == TextKind.Answer)
            return stops.Append(text);

        // Newlines at the end of reasoning belong to the template if the closing tag follows.
        text = heldBlanks + text;
        string body = text.TrimEnd('\n');
        heldBlanks = text[body.Length..];
        return body;
    }
}
