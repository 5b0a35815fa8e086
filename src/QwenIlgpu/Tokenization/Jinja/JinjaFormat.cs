using System.Globalization;
using System.Numerics;

namespace QwenIlgpu;

/// <summary>Texts with holes: "%s" % x and "{}".format(x).</summary>
internal static class JinjaFormat
{
    /// <summary>The % operator of strings.</summary>
    public static JinjaText Percent(JinjaRun run, JinjaText format, object values)
    {
        IReadOnlyList<object> items = values is JinjaList { IsTuple: true } tuple ? tuple.Items : [values];
        int next = 0;
        JinjaWriter writer = new(run);
        string text = format.Text;
        int done = 0;
        for (int at = text.IndexOf('%', StringComparison.Ordinal); at >= 0; at = done < text.Length ? text.IndexOf('%', done) : -1)
        {
            run.Step();
            writer.Add(format, done, at);
            int i = at + 1;
            object? named = null;
            if (i < text.Length && text[i] == '(')
            {
                int close = text.IndexOf(')', i);
                if (close < 0) throw new JinjaException("incomplete format key");
                named = values is JinjaDict dict
                    ? JinjaMembers.Item(run, dict, format.Units(i + 1, close))
                    : throw new JinjaException("format requires a mapping");
                i = close + 1;
            }

            int flags = i;
            while (i < text.Length && (text[i] is '-' or '+' or ' ' or '#' or '.' || char.IsAsciiDigit(text[i]))) i++;
            if (i >= text.Length) throw new JinjaException("incomplete format");
            if (text[i] == '%')
                writer.Add(format, i, i + 1);
            else if (named is null && next == items.Count)
                throw new JinjaException("not enough arguments for format string");
            else
                writer.Add(Conversion(run, text[flags..i], text[i], named ?? items[next++]));
            done = i + 1;
        }

        // Whatever can be subscripted may be meant for names, and so left over.
        if (next < items.Count && values is not (JinjaDict or JinjaRange or JinjaList { IsTuple: false }))
            throw new JinjaException("not all arguments converted during string formatting");
        return writer.Add(format, Math.Min(done, text.Length), text.Length).ToText();
    }

    /// <summary>str.format, whose fields may name attributes and items.</summary>
    public static JinjaText Braces(JinjaRun run, JinjaText format, JinjaArguments arguments)
    {
        JinjaWriter writer = new(run);
        string text = format.Text;
        int next = 0;
        for (int i = 0; i < text.Length; i++)
        {
            run.Step();
            if (text[i] is not ('{' or '}'))
            {
                int end = text.AsSpan(i).IndexOfAny('{', '}');
                end = end < 0 ? text.Length : i + end;
                writer.Add(format, i, end);
                i = end - 1;
            }
            else if (i + 1 < text.Length && text[i + 1] == text[i])
            {
                writer.Add(format, i, ++i);
            }
            else
            {
                int close = text[i] == '{' ? text.IndexOf('}', i) : -1;
                if (close < 0) throw new JinjaException($"Single '{text[i]}' encountered in format string");
                writer.Add(Field(run, format.Units(i + 1, close), arguments, ref next));
                i = close;
            }
        }

        return writer.ToText();
    }

    private static JinjaText Field(JinjaRun run, JinjaText field, JinjaArguments arguments, ref int next)
    {
        string text = field.Text;
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        string spec = colon < 0 ? "" : text[(colon + 1)..];
        string name = colon < 0 ? text : text[..colon];
        int bang = name.IndexOf('!', StringComparison.Ordinal);
        string conversion = bang < 0 ? "" : name[(bang + 1)..];
        if (bang >= 0) name = name[..bang];

        int rest = name.AsSpan().IndexOfAny('.', '[');
        string first = rest < 0 ? name : name[..rest];
        object? value = first.Length == 0 || first.All(char.IsAsciiDigit)
            ? arguments.Positional.ElementAtOrDefault(
                first.Length == 0 ? next++ : int.TryParse(first, CultureInfo.InvariantCulture, out int index) ? index : int.MaxValue)
            : arguments.GetNamed(first);
        if (value is null) throw new JinjaException("Replacement index or key out of range for the arguments");

        for (int i = rest; i >= 0 && i < name.Length;)
        {
            int end = name[i] == '[' ? name.IndexOf(']', i) : name.AsSpan(i + 1).IndexOfAny('.', '[') + i + 1;
            if (end <= i) end = name.Length;
            string key = name[(i + 1)..end];
            value = name[i] == '[' && int.TryParse(key, CultureInfo.InvariantCulture, out int item)
                ? JinjaMembers.Item(run, value, (BigInteger)item)
                : name[i] == '[' ? JinjaMembers.Item(run, value, JinjaText.Data(key)) : JinjaMembers.Attribute(run, value, JinjaText.Data(key));
            i = end < name.Length && name[end] == ']' ? end + 1 : end;
        }

        if (conversion is not ("" or "s" or "r" or "a")) throw new JinjaException($"Unknown conversion specifier {conversion}");
        if (conversion.Length > 0) value = conversion == "s" ? JinjaPrinter.ToText(run, value) : JinjaPrinter.Repr(run, value);
        return Formatted(run, value, spec);
    }

    private static JinjaText Conversion(JinjaRun run, string flags, char type, object value)
    {
        switch (type)
        {
            case 's':
                return Formatted(run, JinjaPrinter.ToText(run, value), Alignment(flags, isText: true));
            case 'r' or 'a':
                return Formatted(run, JinjaPrinter.Repr(run, value), Alignment(flags, isText: true));
            case 'd' or 'i' or 'u':
                object whole = value is double real && double.IsFinite(real) ? new BigInteger(Math.Truncate(real)) : value;
                if (JinjaNumbers.Integer(whole) is not { } integer)
                    throw new JinjaException($"%{type} format: a real number is required, not {JinjaOperators.TypeName(value)}");
                return Formatted(run, integer, Alignment(flags, isText: false) + "d");
            case 'f' or 'F' or 'e' or 'E' or 'g' or 'G' or 'x' or 'X' or 'o':
                if (!JinjaNumbers.IsNumber(value)) throw new JinjaException($"must be real number, not {JinjaOperators.TypeName(value)}");
                return Formatted(run, value, Alignment(flags, isText: false) + type);
            case 'c':
                return value is JinjaText { Length: 1 } text ? text : throw new JinjaException("%c requires a character");
            default:
                throw new JinjaException($"unsupported format character '{type}'");
        }
    }

    // The flags of % as format() writes them.
    private static string Alignment(string flags, bool isText)
    {
        string rest = flags.TrimStart('-', '+', ' ', '0', '#');
        string signs = flags[..^rest.Length];
        string align = signs.Contains('-') ? "<" : isText || !signs.Contains('0') ? ">" : "";
        string sign = isText ? "" : signs.Contains('+') ? "+" : signs.Contains(' ') ? " " : "";
        return align + sign + (align.Length == 0 ? "0" : "") + rest;
    }

    /// <summary>format(value, spec).</summary>
    private static JinjaText Formatted(JinjaRun run, object value, string spec)
    {
        if (spec.Length == 0) return JinjaPrinter.ToText(run, value);
        JinjaFormatSpec parsed = JinjaFormatSpec.Parse(spec);
        bool isNumber = JinjaNumbers.IsNumber(value);
        if (!isNumber && value is not JinjaText)
            throw new JinjaException($"unsupported format string passed to {JinjaOperators.TypeName(value)}.__format__");
        JinjaText text = isNumber ? JinjaText.Data(parsed.Number(value)) : JinjaPrinter.ToText(run, value);
        if (!isNumber && (parsed.Type is not (null or 's') || parsed.Grouping is not null || parsed.Sign is not null))
            throw new JinjaException($"Unknown format code '{parsed.Type}' for object of type '{JinjaOperators.TypeName(value)}'");
        if (!isNumber && parsed.Precision is { } most && most < text.Length) text = text.Slice(0, most);

        int missing = Math.Max(0, parsed.Width - text.Length);
        char align = parsed.Align ?? (isNumber ? '>' : '<');
        int sign = align == '=' && text.Text.StartsWith('-') || align == '=' && text.Text.StartsWith('+') ? 1 : 0;
        int before = align switch { '<' => 0, '^' => missing / 2, _ => missing };
        run.Allocate(missing);
        return new JinjaWriter(run).Add(text, 0, sign).Data(new string(parsed.Fill, before))
            .Add(text, sign, text.Text.Length).Data(new string(parsed.Fill, missing - before)).ToText();
    }
}
