namespace QwenIlgpu;

/// <summary>
/// A marker that is looked for in a text, a character at a time (Knuth, Morris and Pratt): it tells after each one how much of the text's
/// end may be its beginning.
/// </summary>
internal sealed class Marker(string text)
{
    // Of the first i + 1 characters the longest proper beginning that is also their end.
    private readonly int[] borders = BordersOf(text);
    private int length;

    /// <summary>The end of the text so far, where the marker may have begun.</summary>
    public string Begun => text[..length];

    /// <summary>The text so far ends with the whole marker.</summary>
    public bool IsWhole => length == text.Length;

    /// <summary>Takes a character; returns how many of those begun, this one behind them, belong to no marker.</summary>
    public int Take(char c)
    {
        int begun = length;
        length = Next(text, borders, length, c);
        return begun + 1 - length;
    }

    /// <summary>Begins anew.</summary>
    public void Reset() => length = 0;

    private static int Next(string text, int[] borders, int length, char c)
    {
        while (length > 0 && text[length] != c)
            length = borders[length - 1];
        return text[length] == c ? length + 1 : 0;
    }

    private static int[] BordersOf(string text)
    {
        int[] borders = new int[text.Length];
        for (int i = 1; i < text.Length; i++)
            borders[i] = Next(text, borders, borders[i - 1], text[i]);
        return borders;
    }
}
