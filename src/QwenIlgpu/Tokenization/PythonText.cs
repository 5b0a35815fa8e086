using System.Globalization;
using System.Text;
using System.Text.Json;

namespace QwenIlgpu;

/// <summary>What Python makes of JSON values, since its rendering defines the chat template: str, json.dumps and strip.</summary>
internal static class PythonText
{
    /// <summary>The range that str.strip leaves.</summary>
    public static (int Start, int End) Strip(string text)
    {
        int start = 0;
        while (start < text.Length && IsSpace(text[start]))
            start++;
        int end = text.Length;
        while (end > start && IsSpace(text[end - 1]))
            end--;
        return (start, end);
    }

    /// <summary>json.dumps(value, ensure_ascii=False): separators ", " and ": ", keys in the order given.</summary>
    public static string ToJson(JsonElement value)
    {
        StringBuilder output = new();
        Write(output, value, repr: false);
        return output.ToString();
    }

    /// <summary>str(value): a string as it is, anything else as Python displays it.</summary>
    public static string ToText(JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.String) return PythonJson.GetString(value);
        StringBuilder output = new();
        Write(output, value, repr: true);
        return output.ToString();
    }

    private static void Write(StringBuilder output, JsonElement value, bool repr)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                string separator = "{";
                foreach ((string name, JsonElement item) in PythonJson.Properties(value))
                {
                    output.Append(separator);
                    WriteString(output, name, repr);
                    output.Append(": ");
                    Write(output, item, repr);
                    separator = ", ";
                }

                output.Append(separator == "{" ? "{}" : "}");
                break;
            case JsonValueKind.Array:
                output.Append('[');
                for (int i = 0; i < value.GetArrayLength(); i++)
                {
                    if (i > 0) output.Append(", ");
                    Write(output, value[i], repr);
                }

                output.Append(']');
                break;
            case JsonValueKind.String:
                WriteString(output, PythonJson.GetString(value), repr);
                break;
            case JsonValueKind.Number:
                output.Append(PythonNumber.ToText(value.GetRawText(), repr ? "inf" : "Infinity"));
                break;
            case JsonValueKind.True:
                output.Append(repr ? "True" : "true");
                break;
            case JsonValueKind.False:
                output.Append(repr ? "False" : "false");
                break;
            default:
                output.Append(repr ? "None" : "null");
                break;
        }
    }

    private static void WriteString(StringBuilder output, string text, bool repr)
    {
        // repr prefers ' unless only " avoids an escape.
        char quote = repr && (!text.Contains('\'') || text.Contains('"')) ? '\'' : '"';
        output.Append(quote);
        foreach (Rune rune in text.EnumerateRunes())
        {
            string? escape = rune.Value == quote || rune.Value == '\\' ? $"\\{rune}" : repr ? ReprEscape(rune) : JsonEscape(rune);
            if (escape is null) output.Append(rune.ToString());
            else output.Append(escape);
        }

        output.Append(quote);
    }

    /// <summary>The escape of a character in JSON besides quotes and backslashes; null where it stands for itself.</summary>
    public static string? JsonEscape(Rune rune) => rune.Value switch
    {
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\b' => "\\b",
        '\f' => "\\f",
        < ' ' => string.Create(CultureInfo.InvariantCulture, $"\\u{rune.Value:x4}"),
        _ => null,
    };

    /// <summary>The escape of a character in repr besides quotes and backslashes; null where it stands for itself.</summary>
    public static string? ReprEscape(Rune rune) => rune.Value switch
    {
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        _ when IsPrintable(rune) => null,
        < 0x100 => string.Create(CultureInfo.InvariantCulture, $"\\x{rune.Value:x2}"),
        < 0x10000 => string.Create(CultureInfo.InvariantCulture, $"\\u{rune.Value:x4}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"\\U{rune.Value:x8}"),
    };

    // str.isprintable: no control, format, unassigned or private character, and no separator but the blank.
    private static bool IsPrintable(Rune rune) => rune.Value == ' ' || Rune.GetUnicodeCategory(rune) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.SpaceSeparator);

    /// <summary>str.isspace: white space and the four separators U+001C to U+001F.</summary>
    public static bool IsSpace(char character) => char.IsWhiteSpace(character) || character is >= '\u001C' and <= '\u001F';
}
