namespace QwenIlgpu;

/// <summary>
/// Looks for stop strings in text that comes in pieces. What might be the beginning of one is held back, so that no part of a
/// stop string is ever emitted, wherever the pieces are cut.
/// </summary>
internal sealed class StopMatcher(IReadOnlyList<string> stopStrings)
{
    private string held = "";

    public bool Stopped { get; private set; }

    /// <summary>Takes a piece; returns the text that is now certain. After a match the text before it, and nothing from then on.</summary>
    public string Append(string piece)
    {
        if (Stopped)
            return "";
        if (stopStrings.Count == 0)
            return piece;
        string text = held + piece;
        int match = stopStrings.Select(s => text.IndexOf(s, StringComparison.Ordinal)).Where(i => i >= 0).DefaultIfEmpty(-1).Min();
        if (match >= 0)
        {
            (Stopped, held) = (true, "");
            return text[..match];
        }

        int hold = stopStrings.Max(s => LongestSuffixThatBegins(s, text));
        held = text[^hold..];
        return text[..^hold];
    }

    /// <summary>The text still held back, when no more will come.</summary>
    public string Flush()
    {
        (string rest, held) = (held, "");
        return rest;
    }

    private static int LongestSuffixThatBegins(string stop, string text)
    {
        for (int length = Math.Min(stop.Length - 1, text.Length); length > 0; length--)
        {
            if (stop.AsSpan().StartsWith(text.AsSpan(text.Length - length), StringComparison.Ordinal))
                return length;
        }

        return 0;
    }
}
