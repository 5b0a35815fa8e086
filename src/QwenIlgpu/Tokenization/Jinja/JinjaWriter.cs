using System.Buffers;

namespace QwenIlgpu;

/// <summary>Joins texts and remembers which of the characters the template wrote. A single text is handed on as it is.</summary>
internal sealed class JinjaWriter(JinjaRun run)
{
    private const int FirstCapacity = 256;

    private JinjaText? only;
    private char[]? joined;                             // rented until the text is taken
    private int length;
    private List<TextRange>? ranges;

    /// <summary>Characters that the template did not write.</summary>
    public JinjaWriter Data(string data)
    {
        run.Allocate(data.Length);
        Append(data);
        return this;
    }

    /// <summary>A text with its origins.</summary>
    public JinjaWriter Add(JinjaText part) => Add(part, 0, part.Text.Length);

    /// <summary>The UTF-16 units [start, end) of a text with their origins.</summary>
    public JinjaWriter Add(JinjaText part, int start, int end)
    {
        if (start > 0 || end < part.Text.Length) part = part.Units(start, end);
        run.Allocate(part.Text.Length + (8L * part.TemplateRanges.Count));
        if (part.Text.Length == 0) return this;
        if (only is null && joined is null)
            only = part;
        else
            Append(part);
        return this;
    }

    /// <summary>Characters of one origin.</summary>
    public JinjaWriter Add(ReadOnlySpan<char> part, bool isTemplate)
    {
        run.Allocate(part.Length + (isTemplate ? 8 : 0));
        Append(part);
        if (isTemplate) AddRange(length - part.Length, length);
        return this;
    }

    /// <summary>All that was written.</summary>
    public JinjaText ToText()
    {
        if (joined is null) return only ?? JinjaText.Empty;
        run.Allocate(length);
        JinjaText text = JinjaText.Of(new string(joined, 0, length), ranges ?? []);
        ArrayPool<char>.Shared.Return(joined);
        (joined, only, ranges, length) = (null, text, null, 0);
        return text;
    }

    private void Append(JinjaText part)
    {
        int start = Append(part.Text);
        foreach (TextRange range in part.TemplateRanges)
            AddRange(start + range.Start, start + range.End);
    }

    // Where the characters begin. What was the only text until now comes first.
    private int Append(ReadOnlySpan<char> part)
    {
        JinjaText? first = only;
        only = null;
        if (first is not null) Append(first);
        int start = length;
        if (joined is null || joined.Length - length < part.Length) Grow(part.Length);
        part.CopyTo(joined.AsSpan(length));
        length += part.Length;
        return start;
    }

    private void Grow(int more)
    {
        char[] larger = ArrayPool<char>.Shared.Rent(Math.Max(FirstCapacity, Math.Max(2 * length, checked(length + more))));
        if (joined is not null)
        {
            joined.AsSpan(0, length).CopyTo(larger);
            ArrayPool<char>.Shared.Return(joined);
        }

        joined = larger;
    }

    private void AddRange(int start, int end)
    {
        if (start == end) return;
        ranges ??= [];
        if (ranges.Count > 0 && ranges[^1].End == start) ranges[^1] = new TextRange(ranges[^1].Start, end);
        else ranges.Add(new TextRange(start, end));
    }
}
