using System.Text;

namespace QwenIlgpu;

/// <summary>
/// Finds where a text stops being JSON, and says in words what would have to stand there. Read only after a parser has refused the text:
/// parsers name the place by their own rules and in their own words.
/// </summary>
internal ref struct JsonSyntax
{
    private readonly int maxDepth;
    private readonly ReadOnlySpan<byte> text;
    private readonly Stack<bool> inObject = [];
    private int at;
    private Next next = Next.Value;

    private JsonSyntax(ReadOnlySpan<byte> text, int maxDepth)
    {
        this.text = text;
        this.maxDepth = maxDepth;
    }

    private enum Next
    {
        Value,
        FirstItem,
        FirstName,
        Name,
        Colon,
        Separator,
        End,
    }

    /// <summary>Line, column and fault: <c>line 3, column 14: a comma or } is expected, not "x"</c>; null for JSON without half characters.</summary>
    public static string? FirstFault(ReadOnlySpan<byte> text, int maxDepth = 64)
    {
        JsonSyntax syntax = new(text, maxDepth);
        return syntax.Scan() is { } fault ? $"{Place(text, syntax.at)}: {fault}" : null;
    }

    /// <summary>Line and column of a byte, both from 1; a column counts characters.</summary>
    private static string Place(ReadOnlySpan<byte> text, int offset)
    {
        ReadOnlySpan<byte> before = text[..offset];
        int lineStart = before.LastIndexOf((byte)'\n') + 1;
        int column = 1;
        foreach (byte unit in before[lineStart..])
            column += (unit & 0xC0) != 0x80 ? 1 : 0;
        return $"line {before.Count((byte)'\n') + 1}, column {column}";
    }

    private string? Scan()
    {
        while (true)
        {
            while (at < text.Length && text[at] is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n')
                at++;
            if (at == text.Length)
                return next == Next.End ? null : Expected();
            if (Step(text[at]) is { } fault)
                return fault;
        }
    }

    private string? Step(byte unit)
    {
        switch (next)
        {
            case Next.FirstItem when unit == ']':
            case Next.FirstName when unit == '}':
            case Next.Separator when unit == (inObject.Peek() ? '}' : ']'):
                at++;
                inObject.Pop();
                EndValue();
                return null;
            case Next.Value or Next.FirstItem:
                return Value(unit);
            case Next.FirstName or Next.Name when unit == '"':
                next = Next.Colon;
                return String();
            case Next.Colon when unit == ':':
                at++;
                next = Next.Value;
                return null;
            case Next.Separator when unit == ',':
                at++;
                next = inObject.Peek() ? Next.Name : Next.Value;
                return null;
            default:
                return Expected();
        }
    }

    private string? Value(byte unit)
    {
        switch (unit)
        {
            case (byte)'{' or (byte)'[':
                if (inObject.Count == maxDepth)
                    return $"more than {maxDepth} levels are nested";
                at++;
                inObject.Push(unit == '{');
                next = unit == '{' ? Next.FirstName : Next.FirstItem;
                return null;
            case (byte)'"':
                EndValue();
                return String();
            case (byte)'-' or (>= (byte)'0' and <= (byte)'9'):
                EndValue();
                return Number();
            default:
                foreach (string word in (ReadOnlySpan<string>)["true", "false", "null"])
                {
                    if (!text[at..].StartsWith(Encoding.ASCII.GetBytes(word)))
                        continue;
                    at += word.Length;
                    EndValue();
                    return null;
                }

                return Expected();
        }
    }

    private void EndValue() => next = inObject.Count == 0 ? Next.End : Next.Separator;

    private string? String()
    {
        int start = at++;
        while (at < text.Length)
        {
            switch (text[at])
            {
                case (byte)'"':
                    at++;
                    return null;
                case (byte)'\\':
                    if (Escape() is { } fault)
                        return fault;
                    break;
                case < 0x20:
                    return $"a string holds the control character U+{text[at]:X4}, which must be written as an escape";
                default:
                    at++;
                    break;
            }
        }

        return $"the string that begins at {Place(text, start)} has no closing quote";
    }

    private string? Escape()
    {
        const string Half = "a string holds half a character";
        if (at + 1 < text.Length && "\"\\/bfnrt"u8.Contains(text[at + 1]))
        {
            at += 2;
            return null;
        }

        int unit = Hex(at);
        if (unit < 0)
            return "a backslash is expected to begin an escape such as \\n or \\u00e9";
        if (char.IsLowSurrogate((char)unit) || (char.IsHighSurrogate((char)unit) && !char.IsLowSurrogate((char)Math.Max(0, Hex(at + 6)))))
            return Half;
        at += char.IsHighSurrogate((char)unit) ? 12 : 6;
        return null;
    }

    // The four digits of an escape \uXXXX, or -1 where there is none.
    private readonly int Hex(int offset)
    {
        if (offset + 6 > text.Length || text[offset] != '\\' || text[offset + 1] != 'u')
            return -1;
        int value = 0;
        foreach (byte digit in text.Slice(offset + 2, 4))
        {
            if (!char.IsAsciiHexDigit((char)digit))
                return -1;
            value = (value << 4) | Convert.ToInt32(((char)digit).ToString(), 16);
        }

        return value;
    }

    private string? Number()
    {
        const string Digit = "a digit is expected";
        at += text[at] == '-' ? 1 : 0;
        if (at < text.Length && text[at] == '0')
            at++;
        else if (!Digits())
            return $"{Digit}{Found()}";
        if (at < text.Length && text[at] == '.')
        {
            at++;
            if (!Digits())
                return $"{Digit}{Found()}";
        }

        if (at < text.Length && text[at] is (byte)'e' or (byte)'E')
        {
            at++;
            at += at < text.Length && text[at] is (byte)'+' or (byte)'-' ? 1 : 0;
            if (!Digits())
                return $"{Digit}{Found()}";
        }

        return null;
    }

    private bool Digits()
    {
        int start = at;
        while (at < text.Length && char.IsAsciiDigit((char)text[at]))
            at++;
        return at > start;
    }

    private readonly string Expected() => next switch
    {
        Next.Value => "a value is expected",
        Next.FirstItem => "a value or ] is expected",
        Next.FirstName => "a name in quotes or } is expected",
        Next.Name => "a name in quotes is expected",
        Next.Colon => "a colon is expected",
        Next.Separator => inObject.Peek() ? "a comma or } is expected" : "a comma or ] is expected",
        _ => "the end is expected",
    } + Found();

    private readonly string Found()
    {
        if (at >= text.Length)
            return text.IsEmpty ? ", but the text is empty" : ", but the text ends";
        Rune.DecodeFromUtf8(text[at..], out Rune rune, out _);
        return Rune.IsControl(rune) ? $", not U+{rune.Value:X4}" : $", not \"{rune}\"";
    }
}
