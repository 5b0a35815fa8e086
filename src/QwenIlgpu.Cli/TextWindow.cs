namespace QwenIlgpu.Cli;

/// <summary>A stretch of a text that a model sees at once; the last tokens of it count.</summary>
/// <param name="Start">Its first token.</param>
/// <param name="Length">Its tokens.</param>
/// <param name="Counted">How many of the last ones no window before it has counted; never the first, which nothing comes before.</param>
internal readonly record struct TextWindow(int Start, int Length, int Counted)
{
    /// <summary>Windows of at most <paramref name="context"/> tokens that begin every <paramref name="stride"/> tokens, up to the text's end.</summary>
    public static IReadOnlyList<TextWindow> Of(int tokens, int context, int stride)
    {
        var windows = new List<TextWindow>();
        int end = 0;
        for (int start = 0; end < tokens; start += stride)
        {
            int length = Math.Min(context, tokens - start);
            int counted = Math.Min(start + length - end, length - 1);
            end = start + length;
            if (counted > 0)
                windows.Add(new TextWindow(start, length, counted));
        }

        return windows;
    }
}
