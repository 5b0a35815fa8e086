namespace QwenIlgpu;

/// <summary>
/// Turns drawn ids into text as it becomes final: thoughts, answer and calls of tools told apart, special tokens dropped, stop strings
/// searched in the answer's text.
/// </summary>
internal sealed class OutputParser
{
    // A prompt that begins a thought ends with its marker and a few blanks.
    private const int MostMarkerTokens = 32;

    private readonly StreamingDetokenizer detokenizer;
    private readonly StopMatcher stops;
    private readonly AnswerParser answer;

    // Tokens that are markers: these are read, be they special or not.
    private readonly Dictionary<int, string> markers;

    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="stopStrings">Searched in the answer.</param>
    /// <param name="thinking">What stands around thoughts.</param>
    /// <param name="tools">The tools that may be called; null leaves calls in the text.</param>
    /// <param name="promptIds">The prompt: when it leaves a thought open, the output begins as reasoning.</param>
    public OutputParser(
        QwenTokenizer tokenizer, IReadOnlyList<string> stopStrings, ThinkMarkers thinking, ToolSchemas? tools, ReadOnlySpan<int> promptIds)
    {
        detokenizer = new StreamingDetokenizer(tokenizer, skipSpecial: true);
        stops = new StopMatcher(stopStrings);
        answer = new AnswerParser(thinking, LeavesThoughtOpen(promptIds, tokenizer, thinking), tools);
        string[] texts = [thinking.Start, thinking.End, .. tools is null ? (string[])[] : [ToolCallReader.Start, ToolCallReader.End]];
        markers = texts.Distinct().Where(text => tokenizer.FindToken(text) is not null).ToDictionary(text => tokenizer.FindToken(text)!.Value);
    }

    /// <summary>A stop string has been found: what follows is not part of the answer.</summary>
    public bool Stopped => stops.Stopped;

    /// <summary>Tokens that were reasoning, the closing marker included.</summary>
    public int ReasoningTokens { get; private set; }

    /// <summary>The calls that are whole.</summary>
    public IReadOnlyList<PromptToolCall> ToolCalls => answer.Calls;

    /// <summary>What the next text belongs to.</summary>
    public TextKind Kind => answer.Kind;

    /// <summary>Takes one id; returns the text that became final, none of it empty.</summary>
    public IReadOnlyList<AnswerPiece> Append(int id)
    {
        if (Kind == TextKind.Reasoning)
            ReasoningTokens++;
        return Search(answer.Add(markers.TryGetValue(id, out string? marker) ? detokenizer.Flush() + marker : detokenizer.Append(id)));
    }

    /// <summary>The text still held back, when no more ids will come.</summary>
    public IReadOnlyList<AnswerPiece> Flush()
    {
        List<AnswerPiece> last = [.. Search(answer.Add(detokenizer.Flush())), .. Search(answer.Complete())];
        if (stops.Flush() is { Length: > 0 } rest)
            last.Add(new AnswerPiece(TextKind.Answer, rest));
        return last;
    }

    // Where the markers are tokens, what a user writes never is one.
    private static bool LeavesThoughtOpen(ReadOnlySpan<int> promptIds, QwenTokenizer tokenizer, ThinkMarkers thinking) =>
        tokenizer.FindToken(thinking.Start) is { } start && tokenizer.FindToken(thinking.End) is { } end
            ? promptIds.LastIndexOf(start) > promptIds.LastIndexOf(end)
            : tokenizer.Decode(promptIds[^Math.Min(promptIds.Length, MostMarkerTokens)..]).TrimEnd()
                .EndsWith(thinking.Start, StringComparison.Ordinal);

    private IReadOnlyList<AnswerPiece> Search(IReadOnlyList<AnswerPiece> pieces)
    {
        if (pieces.Count == 0)
            return pieces;
        List<AnswerPiece> searched = [];
        foreach (AnswerPiece piece in pieces)
        {
            string text = piece.Kind == TextKind.Answer ? stops.Append(piece.Text) : piece.Text;
            if (text.Length > 0)
                searched.Add(piece with { Text = text });
        }

        return searched;
    }
}
