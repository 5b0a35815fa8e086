using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace QwenIlgpu;

/// <summary>Reads the JSON text of a checkpoint's files: bounded, valid UTF-8, and never with an exception of the parser's own.</summary>
internal static class JsonText
{
    // Files of a checkpoint have a few levels; the arguments of a tool can have many.
    private const int FileDepth = 64;
    private const int InputDepth = 1000;

    /// <summary>The one value that a text is; <paramref name="name"/> is what messages call the text.</summary>
    public static JsonElement Parse(string name, ReadOnlySpan<byte> text, int maxDepth = FileDepth)
    {
        try
        {
            Utf8JsonReader reader = new(text, new JsonReaderOptions { MaxDepth = maxDepth });
            JsonElement value = JsonElement.ParseValue(ref reader);
            reader.Read();                              // throws when anything but blanks follows the value
            return value;
        }
        catch (JsonException error)
        {
            throw Malformed(name, text, error, maxDepth);
        }
    }

    /// <summary>The one value that a text of a user is; a byte-order mark before it does not count.</summary>
    public static JsonElement Parse(string name, string text) => Parse(name, Encoding.UTF8.GetBytes(text.TrimStart('\uFEFF')), InputDepth);

    /// <summary>Refuses strings and names with an escape that is half a character.</summary>
    public static void RequireWholeStrings(string name, ReadOnlySpan<byte> text)
    {
        try
        {
            Utf8JsonReader strings = new(text);
            while (strings.Read())
            {
                if (strings.ValueIsEscaped)
                    StringAt(ref strings);
            }
        }
        catch (JsonException error)
        {
            throw Malformed(name, text, error);
        }
    }

    /// <summary>Refuses bytes that are not UTF-8, which the JSON parser itself would let pass.</summary>
    public static void RequireUtf8(string file, ReadOnlySpan<byte> text)
    {
        if (!Utf8.IsValid(text))
            throw new InvalidDataException($"{file}: its JSON is not valid UTF-8");
    }

    /// <summary>The string or property name that the reader stands on. An escape that is half a character is refused as no JSON.</summary>
    public static string StringAt(ref Utf8JsonReader reader)
    {
        try
        {
            return reader.GetString()!;
        }
        catch (InvalidOperationException error)
        {
            throw new JsonException("a string holds half a character", error);
        }
    }

    /// <summary>A file's own words as a message shows them: on one line, of bounded length, without control characters.</summary>
    public static string Shown(string text)
    {
        const int MaxLetters = 120;
        string shown = text.Length <= MaxLetters ? text : $"{text.AsSpan(0, MaxLetters)}…";
        return string.Create(shown.Length, shown, static (letters, source) =>
        {
            for (int i = 0; i < letters.Length; i++)
                letters[i] = char.IsControl(source[i]) ? ' ' : source[i];
        });
    }

    /// <summary>The error for text that is not JSON: file, line, column and what is expected there.</summary>
    public static InvalidDataException Malformed(string file, ReadOnlySpan<byte> text, Exception error, int maxDepth = FileDepth) =>
        new($"{file}: not valid JSON: {JsonSyntax.FirstFault(text, maxDepth) ?? error.Message}", error);

    /// <summary>Members of the object that the reader stands before, counted without keeping anything.</summary>
    public static int CountMembers(Utf8JsonReader reader)
    {
        int count = 0;
        if (reader.TokenType != JsonTokenType.StartObject)
            return 0;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            count++;
            reader.Read();
            reader.Skip();
        }

        return count;
    }
}
