using System.Text;

namespace QwenIlgpu;

/// <content>What stands in tags: names, numbers, strings and operators.</content>
internal sealed partial class JinjaLexer
{
    private static readonly string[] operators =
    [
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~",
        "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";",
    ];

    private void ReadTag(string close, JinjaTokenKind end, int tag)
    {
        Stack<char> open = [];
        while (at < source.Length)
        {
            if (PythonText.IsSpace(source[at]))
            {
                at++;
                continue;
            }

            char sign = source[at];
            int word = sign == '-' || (sign == '+' && end == JinjaTokenKind.BlockEnd) ? at + 1 : at;
            if (open.Count == 0 && string.CompareOrdinal(source, word, close, 0, 2) == 0)
            {
                Add(end, "");
                at = word + 2;
                SkipAfter(isTrimmed: sign == '-', isKept: sign == '+' || end == JinjaTokenKind.PrintEnd);
                return;
            }

            if (!TryReadNumber() && !TryReadName() && !TryReadString()) ReadOperator(open);
        }

        throw Error($"unexpected end of template, expected '{new JinjaToken(end, "", default)}'.", tag);
    }

    private bool TryReadNumber()
    {
        if (!char.IsAsciiDigit(source[at])) return false;
        int end = at;
        string numberBase = at + 1 < source.Length && source[at] == '0' ? char.ToLowerInvariant(source[at + 1]).ToString() : "";
        Func<char, bool>? isDigit = numberBase switch
        {
            "x" => char.IsAsciiHexDigit,
            "o" => static digit => digit is >= '0' and <= '7',
            "b" => static digit => digit is '0' or '1',
            _ => null,
        };
        if (isDigit is not null)
        {
            end = Digits(at + 2, isDigit);
            if (end > at + 2) return AddNumber(end, isFloat: false);
        }

        end = Digits(at, char.IsAsciiDigit);
        int fraction = end < source.Length && source[end] == '.' ? Digits(end + 1, char.IsAsciiDigit) : 0;
        bool isFloat = fraction > end + 1 && (at == 0 || source[at - 1] != '.');
        int mantissa = isFloat ? fraction : end;
        if (mantissa < source.Length && source[mantissa] is 'e' or 'E' && (at == 0 || source[at - 1] != '.'))
        {
            int sign = mantissa + 1 < source.Length && source[mantissa + 1] is '+' or '-' ? 1 : 0;
            int exponent = Digits(mantissa + 1 + sign, char.IsAsciiDigit);
            if (exponent > mantissa + 1 + sign) return AddNumber(exponent, isFloat: true);
        }

        return AddNumber(mantissa, isFloat);
    }

    private int Digits(int start, Func<char, bool> isDigit)
    {
        int end = start;
        while (end < source.Length && (isDigit(source[end]) || IsBetween(end))) end++;
        return end;

        bool IsBetween(int i) => source[i] == '_' && i > start && i + 1 < source.Length && isDigit(source[i + 1]);
    }

    private bool AddNumber(int end, bool isFloat)
    {
        Add(isFloat ? JinjaTokenKind.Float : JinjaTokenKind.Integer, source[at..end].Replace("_", "", StringComparison.Ordinal));
        at = end;
        return true;
    }

    private bool TryReadName()
    {
        int end = at;
        while (end < source.Length && (char.IsLetterOrDigit(source[end]) || source[end] == '_')) end++;
        if (end == at) return false;
        Add(JinjaTokenKind.Name, source[at..end]);
        at = end;
        return true;
    }

    private bool TryReadString()
    {
        char quote = source[at];
        if (quote is not ('\'' or '"')) return false;
        StringBuilder text = new();
        for (int i = at + 1; i < source.Length; i++)
        {
            if (source[i] == quote)
            {
                Add(JinjaTokenKind.String, Unicode.ReplaceUnpairedSurrogates(text.ToString()));
                at = i + 1;
                return true;
            }

            if (source[i] == '\\' && i + 1 < source.Length) i = Unescape(i + 1, text);
            else text.Append(source[i]);
        }

        return false;
    }

    // Python's escapes; what is none stays as it is. Gives the place of its last character.
    private int Unescape(int i, StringBuilder text)
    {
        int digits = source[i] switch { 'x' => 2, 'u' => 4, 'U' => 8, _ => 0 };
        if (digits > 0)
        {
            int value = 0;
            for (int j = 1; j <= digits; j++)
            {
                if (i + j >= source.Length || !char.IsAsciiHexDigit(source[i + j])) throw Error("truncated escape in a string", i - 1);
                value = (value << 4) | Convert.ToInt32(source[i + j].ToString(), 16);
            }

            if (value is < 0 or > 0x10FFFF) throw Error("illegal Unicode character in a string", i - 1);
            text.Append(value <= 0xFFFF ? ((char)value).ToString() : char.ConvertFromUtf32(value));
            return i + digits;
        }

        if (source[i] is >= '0' and <= '7')
        {
            int end = i;
            int value = 0;
            while (end < source.Length && end < i + 3 && source[end] is >= '0' and <= '7') value = (value * 8) + source[end++] - '0';
            text.Append((char)value);
            return end - 1;
        }

        const string Letters = "abfnrtv\\'\"\n";
        const string Meanings = "\a\b\f\n\r\t\v\\'\"";
        int letter = Letters.IndexOf(source[i], StringComparison.Ordinal);
        if (letter < 0) text.Append('\\').Append(source[i]);
        else if (letter < Meanings.Length) text.Append(Meanings[letter]);
        return i;
    }

    private void ReadOperator(Stack<char> open)
    {
        string? found = Array.Find(operators, candidate => string.CompareOrdinal(source, at, candidate, 0, candidate.Length) == 0);
        if (found is null) throw Error($"unexpected char '{source[at]}' at {at}", at);
        if (found is "(" or "[" or "{")
        {
            open.Push(found == "(" ? ')' : found == "[" ? ']' : '}');
        }
        else if (found is ")" or "]" or "}")
        {
            if (open.Count == 0) throw Error($"unexpected '{found}'", at);
            if (open.Pop() is char expected && expected != found[0]) throw Error($"unexpected '{found}', expected '{expected}'", at);
        }

        Add(JinjaTokenKind.Operator, found);
        at += found.Length;
    }
}
