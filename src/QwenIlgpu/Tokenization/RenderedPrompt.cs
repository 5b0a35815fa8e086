using System.Text;

namespace QwenIlgpu;

/// <summary>
/// A prompt, or a part of one, and which of it the chat template wrote: only there are control tokens control tokens. Ranges are in
/// order, apart from each other and not empty.
/// </summary>
internal readonly record struct RenderedPrompt(string Text, IReadOnlyList<TextRange> TemplateRanges)
{
    /// <summary>Text of a message, a tool or a schema: nothing in it is a control token.</summary>
    public static RenderedPrompt Given(string text) => new(text, []);

    /// <summary>The part [start, end), its ranges cut to it.</summary>
    public RenderedPrompt Slice(int start, int end)
    {
        if (start == 0 && end == Text.Length) return this;

        List<TextRange> ranges = [];
        foreach (TextRange range in TemplateRanges)
        {
            TextRange cut = new(Math.Max(range.Start, start) - start, Math.Min(range.End, end) - start);
            if (cut.Start < cut.End) ranges.Add(cut);
        }

        return new RenderedPrompt(Text[start..end], ranges);
    }

    /// <summary>Without white space, as Python counts it, at both ends.</summary>
    public RenderedPrompt Trim()
    {
        (int start, int end) = PythonText.Strip(Text);
        return Slice(start, end);
    }

    /// <summary>Without line feeds at its start.</summary>
    public RenderedPrompt TrimStartLines() => Slice(Text.Length - Text.AsSpan().TrimStart('\n').Length, Text.Length);

    /// <summary>Without line feeds at its end.</summary>
    public RenderedPrompt TrimEndLines() => Slice(0, Text.AsSpan().TrimEnd('\n').Length);

    /// <summary>What stands before the first occurrence of the mark; all where there is none.</summary>
    public RenderedPrompt Before(string mark)
    {
        int at = Text.IndexOf(mark, StringComparison.Ordinal);
        return at < 0 ? this : Slice(0, at);
    }

    /// <summary>What stands after the last occurrence of the mark; all where there is none.</summary>
    public RenderedPrompt After(string mark)
    {
        int at = Text.LastIndexOf(mark, StringComparison.Ordinal);
        return at < 0 ? this : Slice(at + mark.Length, Text.Length);
    }
}
