using System.Numerics;
using System.Text;

namespace QwenIlgpu;

/// <summary>Methods of strings.</summary>
internal static class JinjaStringMethods
{
    // What upper() makes longer, of the letters that a text is likely to hold.
    private const string Ligatures = "ßSS ŉʼN ﬀFF ﬁFI ﬂFL ﬃFFI ﬄFFL ﬅST ﬆST";

    private static readonly Dictionary<string, string> longUpper =
        Ligatures.Split(' ').ToDictionary(static pair => pair[..1], static pair => pair[1..], StringComparer.Ordinal);

    public static IReadOnlyDictionary<string, JinjaFunction> All { get; } = new JinjaFunction[]
    {
        new("upper", "self", static call => Upper(call.Run, call.Text(0))),
        new("lower", "self", static call => Lower(call.Run, call.Text(0))),
        new("casefold", "self", static call => Map(call.Run, call.Text(0), static text =>
            text.ToLowerInvariant().Replace("ß", "ss", StringComparison.Ordinal))),
        new("swapcase", "self", static call => MapRunes(call.Run, call.Text(0), static (rune, _) =>
            Rune.IsUpper(rune) ? LowerOf(rune) : longUpper.GetValueOrDefault(rune.ToString()) ?? UpperOf(rune))),
        new("capitalize", "self", static call => Capitalize(call.Run, call.Text(0))),
        new("title", "self", static call => Title(call.Run, call.Text(0), static rune => !Rune.IsLetter(rune))),
        new("strip", "self chars?", static call => Strip(call, true, true)),
        new("lstrip", "self chars?", static call => Strip(call, true, false)),
        new("rstrip", "self chars?", static call => Strip(call, false, true)),
        new("split", "self sep? maxsplit?", static call => JinjaSplitter.Split(call, fromEnd: false)),
        new("rsplit", "self sep? maxsplit?", static call => JinjaSplitter.Split(call, fromEnd: true)),
        new("splitlines", "self keepends?", static call => JinjaSplitter.Lines(call.Run, call.Text(0), call.IsTrue(1))),
        new("partition", "self sep", static call => JinjaSplitter.Partition(call, fromEnd: false)),
        new("rpartition", "self sep", static call => JinjaSplitter.Partition(call, fromEnd: true)),
        new("startswith", "self prefix start? end?", static call => HasAffix(call, atStart: true)),
        new("endswith", "self suffix start? end?", static call => HasAffix(call, atStart: false)),
        new("removeprefix", "self prefix", static call => call.Text(0).Text.StartsWith(call.Text(1).Text, StringComparison.Ordinal)
            ? call.Text(0).Units(call.Text(1).Text.Length, call.Text(0).Text.Length)
            : call[0]),
        new("removesuffix", "self suffix", static call => call.Text(0).Text.EndsWith(call.Text(1).Text, StringComparison.Ordinal)
            ? call.Text(0).Units(0, call.Text(0).Text.Length - call.Text(1).Text.Length)
            : call[0]),
        new("replace", "self old new count?", static call =>
            Replace(call.Run, call.Text(0), call.Text(1), call.Text(2), call.Integer(3, -1))),
        new("find", "self sub start? end?", static call => (BigInteger)Find(call, fromEnd: false)),
        new("rfind", "self sub start? end?", static call => (BigInteger)Find(call, fromEnd: true)),
        new("index", "self sub start? end?", static call => (BigInteger)Found(Find(call, fromEnd: false))),
        new("rindex", "self sub start? end?", static call => (BigInteger)Found(Find(call, fromEnd: true))),
        new("count", "self sub start? end?", Count),
        new("join", "self items", static call => Join(call.Run, call.Text(0), call.Items(1))),
        new("format", "self *", static call => JinjaFormat.Braces(call.Run, call.Text(0), call.Rest)),
        new("center", "self width fill?", static call => Pad(call, -1)),
        new("ljust", "self width fill?", static call => Pad(call, 0)),
        new("rjust", "self width fill?", static call => Pad(call, 1)),
        new("zfill", "self width", ZeroFill),
        new("expandtabs", "self tabsize?", static call => ExpandTabs(call)),
        new("isdigit", "self", static call => IsEvery(call.Text(0), Rune.IsDigit)),
        new("isdecimal", "self", static call => IsEvery(call.Text(0), Rune.IsDigit)),
        new("isnumeric", "self", static call => IsEvery(call.Text(0), Rune.IsNumber)),
        new("isalpha", "self", static call => IsEvery(call.Text(0), Rune.IsLetter)),
        new("isalnum", "self", static call => IsEvery(call.Text(0), static rune => Rune.IsLetter(rune) || Rune.IsNumber(rune))),
        new("isspace", "self", static call => IsEvery(call.Text(0), static rune => rune.IsBmp && PythonText.IsSpace((char)rune.Value))),
        new("isupper", "self", static call => IsCased(call.Text(0), Rune.IsUpper, Rune.IsLower)),
        new("islower", "self", static call => IsCased(call.Text(0), Rune.IsLower, Rune.IsUpper)),
        new("istitle", "self", static call => call.Text(0).Text == Title(call.Run, call.Text(0), static rune => !Rune.IsLetter(rune)).Text
            && call.Text(0).Text.EnumerateRunes().Any(Rune.IsUpper)),
    }.ToDictionary(static method => method.Name, StringComparer.Ordinal);

    public static JinjaText Upper(JinjaRun run, JinjaText text) => Map(run, text, static part =>
    {
        foreach ((string letter, string upper) in longUpper)
            part = part.Replace(letter, upper, StringComparison.Ordinal);
        return part.ToUpperInvariant();
    });

    public static JinjaText Lower(JinjaRun run, JinjaText text) =>
        Map(run, text, static part => part.ToLowerInvariant().Replace("İ", "i\u0307", StringComparison.Ordinal));

    public static JinjaText Capitalize(JinjaRun run, JinjaText text) =>
        MapRunes(run, text, static (rune, before) => before is null ? UpperOf(rune) : LowerOf(rune));

    /// <summary>Words start with a capital; a rune that is none of a word says so.</summary>
    public static JinjaText Title(JinjaRun run, JinjaText text, Func<Rune, bool> isBreak) =>
        MapRunes(run, text, (rune, before) => before is null || isBreak(before.Value) ? UpperOf(rune) : LowerOf(rune));

    /// <summary>Without the characters given, or white space, at its ends.</summary>
    public static JinjaText Strip(JinjaRun run, JinjaText text, string? characters, bool atStart, bool atEnd)
    {
        run.Search(text.Text.Length, characters?.Length ?? 1);
        Rune[]? wanted = characters is null ? null : [.. characters.EnumerateRunes()];
        bool IsStripped(Rune rune) => wanted?.Contains(rune) ?? (rune.IsBmp && PythonText.IsSpace((char)rune.Value));
        ReadOnlySpan<char> rest = text.Text;
        while (atStart && rest.Length > 0)
        {
            _ = Rune.DecodeFromUtf16(rest, out Rune rune, out int length);
            if (!IsStripped(rune)) break;
            rest = rest[length..];
        }

        int start = text.Text.Length - rest.Length;
        while (atEnd && rest.Length > 0)
        {
            _ = Rune.DecodeLastFromUtf16(rest, out Rune rune, out int length);
            if (!IsStripped(rune)) break;
            rest = rest[..^length];
        }

        run.Allocate(rest.Length);
        return text.Units(start, start + rest.Length);
    }

    /// <summary>Up to so many occurrences replaced, from the start; all where the count is negative.</summary>
    public static JinjaText Replace(JinjaRun run, JinjaText text, JinjaText old, JinjaText replacement, int count)
    {
        run.Search(text.Text.Length, old.Text.Length);
        JinjaWriter writer = new(run);
        int done = 0;
        if (old.Text.Length == 0)
        {
            for (int i = 0; i <= text.Length && count != 0; i++, count--)
            {
                run.Step();
                writer.Add(text, done, text.UnitOf(i)).Add(replacement);
                done = text.UnitOf(i);
            }
        }
        else
        {
            for (; count != 0; count--)
            {
                int at = text.Text.IndexOf(old.Text, done, StringComparison.Ordinal);
                if (at < 0) break;
                run.Step();
                writer.Add(text, done, at).Add(replacement);
                done = at + old.Text.Length;
            }

            if (done == 0) return text;
        }

        return writer.Add(text, done, text.Text.Length).ToText();
    }

    private static JinjaText Join(JinjaRun run, JinjaText separator, IReadOnlyList<object> items)
    {
        JinjaWriter writer = new(run);
        for (int i = 0; i < items.Count; i++)
        {
            if (items[i] is not JinjaText part)
                throw new JinjaException($"sequence item {i}: expected str instance, {JinjaOperators.TypeName(items[i])} found");
            if (i > 0) writer.Add(separator);
            writer.Add(part);
        }

        return writer.ToText();
    }

    private static JinjaText Strip(JinjaBoundCall call, bool atStart, bool atEnd) =>
        Strip(call.Run, call.Text(0), call.Has(1) ? call.Text(1).Text : null, atStart, atEnd);

    // Letters of one origin at a time.
    private static JinjaText Map(JinjaRun run, JinjaText text, Func<string, string> map)
    {
        run.Step(text.Text.Length / 16);
        run.Allocate(text.Text.Length);
        if (!text.IsMixed) return text.WithText(map(text.Text));
        JinjaWriter writer = new(run);
        foreach ((TextRange units, bool isTemplate) in text.Runs())
            writer.Add(map(text.Text[units.Start..units.End]), isTemplate);
        return writer.ToText();
    }

    // Each letter with the one before it.
    private static JinjaText MapRunes(JinjaRun run, JinjaText text, Func<Rune, Rune?, string> map)
    {
        run.Step(text.Text.Length / 4);
        run.Allocate(text.Text.Length);
        JinjaWriter writer = new(run);
        StringBuilder part = new();
        Rune? before = null;
        foreach ((TextRange units, bool isTemplate) in text.Runs())
        {
            part.Clear();
            foreach (Rune rune in text.Text.AsSpan(units.Start, units.End - units.Start).EnumerateRunes())
            {
                part.Append(map(rune, before));
                before = rune;
            }

            writer.Add(part.ToString(), isTemplate);
        }

        return writer.ToText();
    }

    private static string UpperOf(Rune rune) =>
        longUpper.TryGetValue(rune.ToString(), out string? upper)
            ? upper[..1] + upper[1..].ToLowerInvariant()
            : Rune.ToUpperInvariant(rune).ToString();

    private static string LowerOf(Rune rune) => Rune.ToLowerInvariant(rune).ToString();

    private static bool HasAffix(JinjaBoundCall call, bool atStart)
    {
        (int start, int end) = Units(call, 2);
        if (start > end) return false;
        ReadOnlySpan<char> text = call.Text(0).Text.AsSpan(start, end - start);
        IReadOnlyList<object> affixes = call[1] is JinjaList { IsTuple: true } tuple ? tuple.Items : [call.Text(1)];
        foreach (object affix in affixes)
        {
            if (affix is not JinjaText wanted) throw new JinjaException("startswith and endswith take a str or a tuple of str");
            call.Run.Search(wanted.Text.Length, 1);
            if (atStart ? text.StartsWith(wanted.Text) : text.EndsWith(wanted.Text)) return true;
        }

        return false;
    }

    private static int Find(JinjaBoundCall call, bool fromEnd)
    {
        (int start, int end) = Units(call, 2);
        if (start > end) return -1;
        JinjaText text = call.Text(0);
        string wanted = call.Text(1).Text;
        call.Run.Search(text.Text.Length, wanted.Length);
        ReadOnlySpan<char> part = text.Text.AsSpan(start, end - start);
        int at = fromEnd ? part.LastIndexOf(wanted, StringComparison.Ordinal) : part.IndexOf(wanted, StringComparison.Ordinal);
        if (fromEnd && wanted.Length == 0) at = part.Length;
        return at < 0 ? -1 : text.CodePointOf(start + at);
    }

    private static int Found(int at) => at >= 0 ? at : throw new JinjaException("substring not found");

    private static object Count(JinjaBoundCall call)
    {
        (int start, int end) = Units(call, 2);
        if (start > end) return BigInteger.Zero;
        JinjaText text = call.Text(0);
        string wanted = call.Text(1).Text;
        call.Run.Search(text.Text.Length, wanted.Length);
        if (wanted.Length == 0) return (BigInteger)(text.CodePointOf(end) - text.CodePointOf(start) + 1);
        return (BigInteger)MemoryExtensions.Count(text.Text.AsSpan(start, end - start), wanted);
    }

    // The units of self[start:end], the two arguments from an index on; start above end where nothing can be found.
    private static (int Start, int End) Units(JinjaBoundCall call, int index)
    {
        JinjaText text = call.Text(0);
        int length = text.Length;
        int start = Bound(call.Integer(index, 0));
        int end = Math.Min(length, Bound(call.Integer(index + 1, length)));
        return start > length ? (1, 0) : (text.UnitOf(start), text.UnitOf(end));

        int Bound(int bound) => bound < 0 ? Math.Max(0, bound + length) : bound;
    }

    // A negative side pads at both ends, 0 at the end, 1 at the start.
    private static JinjaText Pad(JinjaBoundCall call, int side)
    {
        JinjaText text = call.Text(0);
        JinjaText fill = call.Has(2) ? call.Text(2) : JinjaText.Data(" ");
        if (fill.Length != 1) throw new JinjaException("The fill character must be exactly one character long");
        int missing = Math.Max(0, call.Integer(1, 0) - text.Length);
        int before = side > 0 ? missing : side == 0 ? 0 : (missing / 2) + (missing & call.Integer(1, 0) & 1);
        JinjaWriter writer = new(call.Run);
        for (int i = 0; i < before; i++)
            writer.Add(fill);
        writer.Add(text);
        for (int i = before; i < missing; i++)
            writer.Add(fill);
        return writer.ToText();
    }

    private static JinjaText ZeroFill(JinjaBoundCall call)
    {
        JinjaText text = call.Text(0);
        int sign = text.Text.StartsWith('-') || text.Text.StartsWith('+') ? 1 : 0;
        int missing = Math.Max(0, call.Integer(1, 0) - text.Length);
        call.Run.Allocate(missing);
        return new JinjaWriter(call.Run).Add(text, 0, sign).Data(new string('0', missing)).Add(text, sign, text.Text.Length).ToText();
    }

    private static JinjaText ExpandTabs(JinjaBoundCall call)
    {
        JinjaText text = call.Text(0);
        int size = Math.Max(0, call.Integer(1, 8));
        JinjaWriter writer = new(call.Run);
        int column = 0;
        for (int i = 0; i < text.Length; i++)
        {
            JinjaText character = text[i];
            int width = character.Text == "\t" ? size == 0 ? 0 : size - (column % size) : 1;
            call.Run.Step();
            call.Run.Allocate(width);
            writer.Add(character.Text == "\t" ? JinjaText.Data(new string(' ', width)) : character);
            column = character.Text is "\n" or "\r" ? 0 : column + width;
        }

        return writer.ToText();
    }

    private static bool IsEvery(JinjaText text, Func<Rune, bool> test)
    {
        if (text.Text.Length == 0) return false;
        foreach (Rune rune in text.Text.EnumerateRunes())
        {
            if (!test(rune)) return false;
        }

        return true;
    }

    private static bool IsCased(JinjaText text, Func<Rune, bool> wanted, Func<Rune, bool> unwanted)
    {
        bool isAny = false;
        foreach (Rune rune in text.Text.EnumerateRunes())
        {
            if (unwanted(rune)) return false;
            isAny |= wanted(rune);
        }

        return isAny;
    }
}
