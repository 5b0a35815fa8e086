using System.Text;

namespace QwenIlgpu;

/// <summary>Joins what the template writes and what it was given, and remembers which is which.</summary>
internal sealed class PromptWriter
{
    private readonly StringBuilder text = new();
    private readonly List<TextRange> ranges = [];

    /// <summary>Text of the template itself.</summary>
    public PromptWriter Template(string literal)
    {
        AddRange(text.Length, text.Length + literal.Length);
        text.Append(literal);
        return this;
    }

    /// <summary>Text from a message, a tool or a schema.</summary>
    public PromptWriter Given(string given)
    {
        text.Append(given);
        return this;
    }

    /// <summary>Text that holds both.</summary>
    public PromptWriter Add(RenderedPrompt part)
    {
        foreach (TextRange range in part.TemplateRanges)
            AddRange(text.Length + range.Start, text.Length + range.End);
        text.Append(part.Text);
        return this;
    }

    /// <summary>All that was written.</summary>
    public RenderedPrompt ToPrompt() => new(text.ToString(), [.. ranges]);

    private void AddRange(int start, int end)
    {
        if (start == end) return;
        if (ranges.Count > 0 && ranges[^1].End == start) ranges[^1] = new TextRange(ranges[^1].Start, end);
        else ranges.Add(new TextRange(start, end));
    }
}
