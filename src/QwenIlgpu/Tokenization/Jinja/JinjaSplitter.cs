namespace QwenIlgpu;

/// <summary>Cuts strings to pieces.</summary>
internal static class JinjaSplitter
{
    /// <summary>str.split and str.rsplit.</summary>
    public static JinjaList Split(JinjaBoundCall call, bool fromEnd)
    {
        JinjaText text = call.Text(0);
        int most = call.Integer(2, -1);
        if (!call.Has(1)) return new JinjaList(fromEnd && most >= 0 ? WordsFromEnd(call.Run, text, most) : Words(call.Run, text, most));

        string separator = call.Text(1).Text;
        if (separator.Length == 0) throw new JinjaException("empty separator");
        call.Run.Search(text.Text.Length, separator.Length);
        List<object> parts = [];
        int start = 0;
        int end = text.Text.Length;
        for (; most != 0; most--)
        {
            int at = fromEnd
                ? text.Text.AsSpan(0, end).LastIndexOf(separator, StringComparison.Ordinal)
                : text.Text.IndexOf(separator, start, StringComparison.Ordinal);
            if (at < 0) break;
            parts.Add(fromEnd ? Part(call.Run, text, at + separator.Length, end) : Part(call.Run, text, start, at));
            (start, end) = fromEnd ? (start, at) : (at + separator.Length, end);
        }

        parts.Add(Part(call.Run, text, start, end));
        if (fromEnd) parts.Reverse();
        return new JinjaList(parts);
    }

    /// <summary>str.splitlines.</summary>
    public static JinjaList Lines(JinjaRun run, JinjaText text, bool keepsEnds)
    {
        List<object> lines = [];
        string all = text.Text;
        int start = 0;
        for (int i = 0; i < all.Length; i++)
        {
            if (all[i] is not ((>= '\n' and <= '\r') or (>= '\u001C' and <= '\u001E') or '\u0085' or '\u2028' or '\u2029')) continue;
            int end = i;
            if (all[i] == '\r' && i + 1 < all.Length && all[i + 1] == '\n') i++;
            lines.Add(Part(run, text, start, keepsEnds ? i + 1 : end));
            start = i + 1;
        }

        if (start < all.Length) lines.Add(Part(run, text, start, all.Length));
        run.Step(all.Length / 16);
        return new JinjaList(lines);
    }

    /// <summary>str.partition and str.rpartition.</summary>
    public static JinjaList Partition(JinjaBoundCall call, bool fromEnd)
    {
        (JinjaText text, JinjaText separator) = (call.Text(0), call.Text(1));
        if (separator.Text.Length == 0) throw new JinjaException("empty separator");
        call.Run.Search(text.Text.Length, separator.Text.Length);
        int at = fromEnd
            ? text.Text.LastIndexOf(separator.Text, StringComparison.Ordinal)
            : text.Text.IndexOf(separator.Text, StringComparison.Ordinal);
        JinjaText none = JinjaText.Empty;
        if (at < 0) return new JinjaList(fromEnd ? [none, none, text] : [text, none, none], isTuple: true);
        int end = at + separator.Text.Length;
        return new JinjaList(
            [Part(call.Run, text, 0, at), Part(call.Run, text, at, end), Part(call.Run, text, end, text.Text.Length)], isTuple: true);
    }

    private static List<object> Words(JinjaRun run, JinjaText text, int most)
    {
        List<object> words = [];
        string all = text.Text;
        run.Step(all.Length / 16);
        for (int i = 0; i < all.Length;)
        {
            if (PythonText.IsSpace(all[i]))
            {
                i++;
                continue;
            }

            int end = i;
            bool isLast = most >= 0 && words.Count == most;
            if (isLast)
                end = all.Length;
            else
                while (end < all.Length && !PythonText.IsSpace(all[end])) end++;
            while (isLast && PythonText.IsSpace(all[end - 1])) end--;
            words.Add(Part(run, text, i, end));
            i = isLast ? all.Length : end;
        }

        return words;
    }

    private static List<object> WordsFromEnd(JinjaRun run, JinjaText text, int most)
    {
        List<object> words = [];
        string all = text.Text;
        run.Step(all.Length / 16);
        for (int end = all.Length; end > 0;)
        {
            if (PythonText.IsSpace(all[end - 1]))
            {
                end--;
                continue;
            }

            int start = end;
            bool isLast = words.Count == most;
            if (isLast)
                start = 0;
            else
                while (start > 0 && !PythonText.IsSpace(all[start - 1])) start--;
            while (isLast && PythonText.IsSpace(all[start])) start++;
            words.Add(Part(run, text, start, end));
            end = isLast ? 0 : start;
        }

        words.Reverse();
        return words;
    }

    private static JinjaText Part(JinjaRun run, JinjaText text, int start, int end)
    {
        run.Step();
        run.Allocate(32 + end - start);
        return text.Units(start, end);
    }
}
