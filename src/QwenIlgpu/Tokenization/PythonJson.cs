using System.Globalization;
using System.Text;
using System.Text.Json;

namespace QwenIlgpu;

/// <summary>Strings and properties of JSON as Python reads them: an unpaired \ud800 is no error, the last of equal keys counts.</summary>
internal static class PythonJson
{
    /// <summary>The string; an escaped surrogate without its partner is U+FFFD.</summary>
    public static string GetString(JsonElement value) => HasSurrogateEscape(value) ? Unescape(value.GetRawText()) : value.GetString()!;

    /// <summary>Properties in the order of their keys' first occurrence, each with its last value.</summary>
    public static IEnumerable<KeyValuePair<string, JsonElement>> Properties(JsonElement value)
    {
        OrderedDictionary<string, JsonElement> properties = new(StringComparer.Ordinal);
        foreach (JsonProperty property in value.EnumerateObject())
            properties[property.Name] = property.Value;
        return properties;
    }

    private static bool HasSurrogateEscape(JsonElement value) => value.GetRawText().Contains("\\ud", StringComparison.OrdinalIgnoreCase);

    // A valid JSON string with its quotes.
    private static string Unescape(string json)
    {
        StringBuilder text = new(json.Length);
        for (int i = 1; i < json.Length - 1; i++)
        {
            if (json[i] != '\\')
            {
                text.Append(json[i]);
                continue;
            }

            char escape = json[++i];
            text.Append(escape switch
            {
                'b' => '\b',
                'f' => '\f',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => (char)int.Parse(json.AsSpan(i + 1, 4), NumberStyles.HexNumber, CultureInfo.InvariantCulture),
                _ => escape,
            });
            if (escape == 'u') i += 4;
        }

        return Unicode.ReplaceUnpairedSurrogates(text.ToString());
    }
}
