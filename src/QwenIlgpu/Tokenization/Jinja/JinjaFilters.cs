using System.Globalization;
using System.Numerics;
using System.Text;

namespace QwenIlgpu;

/// <summary>The filters of strings, numbers and single values; those of sequences stand in <see cref="JinjaSequenceFilters"/>.</summary>
internal static class JinjaFilters
{
    // Bigger than any number's exponent.
    private const int MaxRoundDigits = 400;

    public static IReadOnlyDictionary<string, JinjaFunction> All { get; } = new JinjaFunction[]
    {
        new("abs", "x", static call => Absolute(call[0])),
        new("attr", "obj name", static call =>
            JinjaMembers.Own(call.Run, call[0], call.Printed(1).Text) ?? JinjaOperators.Missing(call[0], call[1])),
        new("capitalize", "s", static call => JinjaStringMethods.Capitalize(call.Run, call.Printed(0))),
        new("center", "value width?", static call => Method(call, "center", call.Printed(0), call.Or(1, (BigInteger)80))),
        new("default", "value default_value? boolean?", Default),
        new("d", "value default_value? boolean?", Default),
        new("escape", "s", static call => Escape(call.Run, call.Printed(0))),
        new("e", "s", static call => Escape(call.Run, call.Printed(0))),
        new("forceescape", "s", static call => Escape(call.Run, call.Printed(0))),
        new("float", "value default?", Float),
        new("format", "value *", static call => JinjaFormat.Percent(call.Run, call.Printed(0), Rest(call))),
        new("indent", "s width? first? blank?", Indent),
        new("int", "value default? base?", Integer),
        new("lower", "s", static call => JinjaStringMethods.Lower(call.Run, call.Printed(0))),
        new("pprint", "value", static call => JinjaPrinter.Repr(call.Run, call[0])),
        new("replace", "s old new count?", static call =>
            JinjaStringMethods.Replace(call.Run, call.Printed(0), call.Printed(1), call.Printed(2), call.Integer(3, -1))),
        new("round", "value precision? method?", Round),
        new("safe", "value", static call => call.Printed(0)),
        new("string", "value", static call => call.Printed(0)),
        new("title", "s", static call => JinjaStringMethods.Title(call.Run, call.Printed(0), static rune =>
            rune.Value is '-' or '(' or '{' or '[' or '<' || (rune.IsBmp && PythonText.IsSpace((char)rune.Value)))),
        new("tojson", "x ensure_ascii? indent? separators? sort_keys?", ToJson),
        new("trim", "value chars?", static call =>
            JinjaStringMethods.Strip(call.Run, call.Printed(0), call.Has(1) ? call.Text(1).Text : null, atStart: true, atEnd: true)),
        new("truncate", "s length? killwords? end? leeway?", Truncate),
        new("upper", "s", static call => JinjaStringMethods.Upper(call.Run, call.Printed(0))),
        new("urlencode", "value", UrlEncode),
        new("wordcount", "s", static call => WordCount(call)),
    }.Concat(JinjaSequenceFilters.All).ToDictionary(static filter => filter.Name, StringComparer.Ordinal);

    private static object Default(JinjaBoundCall call) =>
        call[0] is JinjaUndefined || (call.IsTrue(2) && !JinjaOperators.IsTrue(call[0])) ? call.Or(1, JinjaText.Empty) : call[0];

    private static object Absolute(object value) => value switch
    {
        double number => Math.Abs(number),
        JinjaUndefined undefined => throw undefined.Error,
        _ => BigInteger.Abs(JinjaNumbers.Integer(value)
            ?? throw new JinjaException($"bad operand type for abs(): '{JinjaOperators.TypeName(value)}'")),
    };

    private static object Integer(JinjaBoundCall call)
    {
        object fallback = call.Or(1, BigInteger.Zero);
        switch (call[0])
        {
            case JinjaUndefined undefined:
                throw undefined.Error;
            case JinjaText text:
                call.Run.Search(text.Text.Length, 1);
                if (JinjaNumbers.ParseInteger(text.Text, call.Integer(2, 10)) is { } parsed) return parsed;
                return Whole(JinjaNumbers.ParseFloat(text.Text));
            case double number:
                return Whole(number);
            default:
                return JinjaNumbers.Integer(call[0]) ?? fallback;
        }

        object Whole(double? number) => number is { } real && double.IsFinite(real) ? new BigInteger(Math.Truncate(real)) : fallback;
    }

    private static object Float(JinjaBoundCall call)
    {
        object fallback = call.Or(1, 0.0);
        return call[0] switch
        {
            JinjaUndefined undefined => throw undefined.Error,
            JinjaText text => JinjaNumbers.ParseFloat(text.Text) ?? fallback,
            _ when JinjaNumbers.IsNumber(call[0]) => JinjaNumbers.Float(call[0]),
            _ => fallback,
        };
    }

    private static object Round(JinjaBoundCall call)
    {
        int digits = Math.Clamp(call.Integer(1, 0), -MaxRoundDigits, MaxRoundDigits);
        string method = call.Has(2) ? call.Text(2).Text : "common";
        if (method is not ("common" or "ceil" or "floor")) throw new JinjaException("method must be common, ceil or floor");
        if (call[0] is JinjaUndefined undefined) throw undefined.Error;
        if (!JinjaNumbers.IsNumber(call[0]))
            throw new JinjaException($"type {JinjaOperators.TypeName(call[0])} doesn't define __round__ method");
        if (method == "common" && JinjaNumbers.Integer(call[0]) is { } whole && digits >= 0) return whole;

        double value = JinjaNumbers.Float(call[0]);
        if (!double.IsFinite(value)) return value;
        if (method == "common")
        {
            double rounded = double.Parse(JinjaNumbers.Fixed(value, digits), CultureInfo.InvariantCulture);
            return JinjaNumbers.Integer(call[0]) is null ? rounded : new BigInteger(rounded);
        }

        double scale = Math.Pow(10, digits);
        return (method == "ceil" ? Math.Ceiling(value * scale) : Math.Floor(value * scale)) / scale;
    }

    private static JinjaText Escape(JinjaRun run, JinjaText text)
    {
        (string Character, string Escaped)[] all = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&#39;"), ("\"", "&#34;")];
        foreach ((string character, string escaped) in all)
        {
            // Each of the characters' own origin.
            if (!text.IsMixed)
            {
                text = JinjaStringMethods.Replace(run, text, JinjaText.Data(character), text.WithText(escaped), -1);
                continue;
            }

            JinjaWriter writer = new(run);
            foreach ((TextRange units, bool isTemplate) in text.Runs())
                writer.Add(text.Text[units.Start..units.End].Replace(character, escaped, StringComparison.Ordinal), isTemplate);
            text = writer.ToText();
        }

        return text;
    }

    private static JinjaText Indent(JinjaBoundCall call)
    {
        JinjaText text = call.Text(0);
        JinjaText width = call.Values[1] is JinjaText given ? given : JinjaText.Data(Blanks(call, call.Integer(1, 4)));
        JinjaWriter writer = new(call.Run);
        JinjaText ended = new JinjaWriter(call.Run).Add(text).Data("\n").ToText();
        IReadOnlyList<object> lines = JinjaSplitter.Lines(call.Run, ended, keepsEnds: false).Items;
        for (int i = 0; i < lines.Count; i++)
        {
            JinjaText line = (JinjaText)lines[i];
            if (i > 0) writer.Data("\n");
            if (i == 0 ? call.IsTrue(2) : line.Text.Length > 0 || call.IsTrue(3)) writer.Add(width);
            writer.Add(line);
        }

        return writer.ToText();
    }

    private static JinjaText ToJson(JinjaBoundCall call)
    {
        string? indent = !call.Has(2) ? null : call[2] is JinjaText text ? text.Text : Blanks(call, call.Integer(2, 0));
        JinjaText item = JinjaText.Data(indent is null ? ", " : ",");
        JinjaText key = JinjaText.Data(": ");
        if (call.Has(3))
        {
            if (call.Items(3) is not [JinjaText between, JinjaText behind]) throw new JinjaException("separators must be two strings");
            (item, key) = (between, behind);
        }

        JinjaJsonStyle style = new(indent, item, key, SortKeys: call.IsTrue(4), EnsureAscii: call.IsTrue(1));
        return JinjaPrinter.ToJson(call.Run, call[0], style);
    }

    private static object Truncate(JinjaBoundCall call)
    {
        int length = call.Integer(1, 255);
        JinjaText end = call.Has(3) ? call.Text(3) : JinjaText.Data("...");
        if (length < end.Length) throw new JinjaException($"expected length >= {end.Length}, got {length}");
        if (JinjaOperators.Length(call[0]) <= length + (long)call.Integer(4, 5)) return call[0];

        JinjaText text = call.Text(0);
        JinjaText kept = text.Slice(0, Math.Min(text.Length, length - end.Length));
        if (!call.IsTrue(2) && kept.Text.LastIndexOf(' ') is >= 0 and int blank) kept = kept.Units(0, blank);
        return new JinjaWriter(call.Run).Add(kept).Add(end).ToText();
    }

    private static JinjaText UrlEncode(JinjaBoundCall call)
    {
        if (call[0] is not (JinjaDict or JinjaList)) return Quote(call.Printed(0), keepsSlash: true);
        IReadOnlyList<object> pairs = call[0] is JinjaDict dict ? JinjaMembers.Pairs(call.Run, dict) : call.Items(0);
        JinjaWriter writer = new(call.Run);
        foreach (object item in pairs)
        {
            if (JinjaOperators.Iterate(call.Run, item) is not [object key, object value]) throw new JinjaException("urlencode takes pairs");
            if (!ReferenceEquals(item, pairs[0])) writer.Data("&");
            writer.Add(Quote(JinjaPrinter.ToText(call.Run, key), keepsSlash: false)).Data("=")
                .Add(Quote(JinjaPrinter.ToText(call.Run, value), keepsSlash: false));
        }

        return writer.ToText();

        JinjaText Quote(JinjaText text, bool keepsSlash)
        {
            call.Run.Allocate(text.Text.Length * 3L);
            JinjaWriter quoted = new(call.Run);
            foreach ((TextRange units, bool isTemplate) in text.Runs())
            {
                StringBuilder part = new();
                foreach (byte unit in Encoding.UTF8.GetBytes(text.Text[units.Start..units.End]))
                {
                    bool isKept = char.IsAsciiLetterOrDigit((char)unit) || "_.-~".Contains((char)unit) || (keepsSlash && unit == '/');
                    part.Append(isKept ? ((char)unit).ToString() : $"%{unit:X2}");
                }

                quoted.Add(part.ToString(), isTemplate);
            }

            return quoted.ToText();
        }
    }

    private static BigInteger WordCount(JinjaBoundCall call)
    {
        int count = 0;
        bool isInWord = false;
        foreach (Rune rune in call.Printed(0).Text.EnumerateRunes())
        {
            bool isWord = Rune.IsLetterOrDigit(rune) || Rune.IsNumber(rune) || rune.Value == '_';
            if (isWord && !isInWord) count++;
            isInWord = isWord;
        }

        return count;
    }

    private static string Blanks(JinjaBoundCall call, int count)
    {
        count = Math.Max(0, count);
        call.Run.Allocate(count);
        return new string(' ', count);
    }

    private static object Rest(JinjaBoundCall call)
    {
        if (call.Rest.Named.Count == 0) return new JinjaList([.. call.Rest.Positional], isTuple: true);
        if (call.Rest.Positional.Count > 0) throw new JinjaException("can't handle positional and keyword arguments at the same time");
        JinjaDict named = new();
        foreach ((string name, object value) in call.Rest.Named)
            named.Items[JinjaText.Data(name)] = value;
        return named;
    }

    private static object Method(JinjaBoundCall call, string name, params object[] arguments)
    {
        JinjaArguments all = new();
        all.Positional.AddRange(arguments);
        return JinjaStringMethods.All[name].Call(call.Run, all);
    }
}
