namespace QwenIlgpu;

/// <summary>
/// A string that knows which of its characters the template wrote; all others are data. Ranges are in order, apart from each other and
/// not empty. Positions that a template sees count code points.
/// </summary>
internal sealed class JinjaText
{
    /// <summary>No characters.</summary>
    public static readonly JinjaText Empty = new("", []);

    private readonly TextRange[] template;
    private int[]? starts;

    private JinjaText(string text, TextRange[] template) => (Text, this.template) = (text, template);

    /// <summary>The characters.</summary>
    public string Text { get; }

    /// <summary>The UTF-16 units that the template wrote.</summary>
    public IReadOnlyList<TextRange> TemplateRanges => template;

    /// <summary>Whether characters of the template and of data stand side by side.</summary>
    public bool IsMixed => template.Length > 0 && !IsTemplate;

    /// <summary>Characters as Python counts them.</summary>
    public int Length => Starts is { } all ? all.Length - 1 : Text.Length;

    private bool IsTemplate => template.Length == 1 && template[0].Start == 0 && template[0].End == Text.Length;

    // The unit where each code point starts, and the end; null where every unit is a code point.
    private int[]? Starts
    {
        get
        {
            if (starts is null && Text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF') >= 0)
                starts = StartsOf(Text);
            return starts;
        }
    }

    /// <summary>Text that the template wrote.</summary>
    public static JinjaText Template(string text) => text.Length == 0 ? Empty : new JinjaText(text, [new TextRange(0, text.Length)]);

    /// <summary>Text that came from elsewhere.</summary>
    public static JinjaText Data(string text) => text.Length == 0 ? Empty : new JinjaText(text, []);

    /// <summary>Text with its ranges, which are in order.</summary>
    public static JinjaText Of(string text, List<TextRange> ranges) => text.Length == 0 ? Empty : new JinjaText(text, [.. ranges]);

    /// <summary>Another text of one origin with this one's.</summary>
    public JinjaText WithText(string text)
    {
        if (IsMixed) throw new InvalidOperationException("A text of two origins has no one origin to give on.");
        return IsTemplate ? Template(text) : Data(text);
    }

    /// <summary>The UTF-16 units [start, end).</summary>
    public JinjaText Units(int start, int end)
    {
        if (start >= end) return Empty;
        if (start == 0 && end == Text.Length) return this;

        string part = Text[start..end];
        if (template.Length == 0) return new JinjaText(part, []);

        List<TextRange> ranges = [];
        for (int i = FirstEndingAfter(start); i < template.Length && template[i].Start < end; i++)
            ranges.Add(new TextRange(Math.Max(template[i].Start, start) - start, Math.Min(template[i].End, end) - start));
        return new JinjaText(part, [.. ranges]);
    }

    /// <summary>The code points [start, end).</summary>
    public JinjaText Slice(int start, int end) => start >= end ? Empty : Units(UnitOf(start), UnitOf(end));

    /// <summary>The code point at a place.</summary>
    public JinjaText this[int index] => Slice(index, index + 1);

    /// <summary>The UTF-16 unit where a code point starts.</summary>
    public int UnitOf(int codePoint) => Starts is { } all ? all[codePoint] : codePoint;

    /// <summary>The code point that starts at a UTF-16 unit.</summary>
    public int CodePointOf(int unit)
    {
        if (Starts is not { } all) return unit;
        int at = Array.BinarySearch(all, unit);
        return at < 0 ? ~at : at;
    }

    /// <summary>The parts of one origin each.</summary>
    public IEnumerable<(TextRange Units, bool IsTemplate)> Runs()
    {
        int done = 0;
        foreach (TextRange range in template)
        {
            if (range.Start > done) yield return (new TextRange(done, range.Start), false);
            yield return (range, true);
            done = range.End;
        }

        if (done < Text.Length) yield return (new TextRange(done, Text.Length), false);
    }

    /// <summary>The text as a prompt, or a part of one.</summary>
    public RenderedPrompt ToPrompt() => new(Text, template);

    public override string ToString() => Text;

    private static int[] StartsOf(string text)
    {
        List<int> all = new(text.Length + 1);
        for (int i = 0; i < text.Length; i++)
        {
            all.Add(i);
            if (i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1])) i++;
        }

        all.Add(text.Length);
        return [.. all];
    }

    private int FirstEndingAfter(int unit)
    {
        int low = 0;
        int high = template.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (template[middle].End <= unit) low = middle + 1;
            else high = middle;
        }

        return low;
    }
}
