using System.Text;

namespace QwenIlgpu;

/// <summary>Joins texts and remembers which of the characters the template wrote.</summary>
internal sealed class JinjaWriter(JinjaRun run)
{
    private readonly StringBuilder text = new();
    private readonly List<TextRange> ranges = [];

    /// <summary>Characters that the template did not write.</summary>
    public JinjaWriter Data(string data)
    {
        run.Allocate(data.Length);
        text.Append(data);
        return this;
    }

    /// <summary>A text with its origins.</summary>
    public JinjaWriter Add(JinjaText part) => Add(part, 0, part.Text.Length);

    /// <summary>The UTF-16 units [start, end) of a text with their origins.</summary>
    public JinjaWriter Add(JinjaText part, int start, int end)
    {
        if (start > 0 || end < part.Text.Length) part = part.Units(start, end);
        run.Allocate(part.Text.Length + (8L * part.TemplateRanges.Count));
        foreach (TextRange range in part.TemplateRanges)
            AddRange(text.Length + range.Start, text.Length + range.End);
        text.Append(part.Text);
        return this;
    }

    /// <summary>Characters of one origin.</summary>
    public JinjaWriter Add(ReadOnlySpan<char> part, bool isTemplate)
    {
        run.Allocate(part.Length + (isTemplate ? 8 : 0));
        if (isTemplate) AddRange(text.Length, text.Length + part.Length);
        text.Append(part);
        return this;
    }

    /// <summary>All that was written.</summary>
    public JinjaText ToText()
    {
        run.Allocate(text.Length);
        return JinjaText.Of(text.ToString(), ranges);
    }

    private void AddRange(int start, int end)
    {
        if (start == end) return;
        if (ranges.Count > 0 && ranges[^1].End == start) ranges[^1] = new TextRange(ranges[^1].Start, end);
        else ranges.Add(new TextRange(start, end));
    }
}
