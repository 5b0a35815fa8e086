using System.Text.Json;
using System.Text.Unicode;
using Microsoft.Win32.SafeHandles;

namespace QwenIlgpu;

/// <summary>Reads the JSON text of a checkpoint's files: bounded, valid UTF-8, and never with an exception of the parser's own.</summary>
internal static class JsonText
{
    /// <summary>The bytes of a whole JSON file of at most <paramref name="maxBytes"/>.</summary>
    public static byte[] ReadFile(string file, long maxBytes)
    {
        using SafeFileHandle handle = File.OpenHandle(file);
        long length = RandomAccess.GetLength(handle);
        if (length > maxBytes)
            throw new InvalidDataException($"{file}: is {length} bytes long, at most {maxBytes} are read");

        byte[] text = new byte[length];
        int filled = 0;
        while (filled < text.Length)
        {
            int read = RandomAccess.Read(handle, text.AsSpan(filled), filled);
            if (read == 0)
                throw new InvalidDataException($"{file}: ends at byte {filled} of {length} while it is read");
            filled += read;
        }

        RequireUtf8(file, text);
        return text;
    }

    /// <summary>Refuses bytes that are not UTF-8, which the JSON parser itself would let pass.</summary>
    public static void RequireUtf8(string file, ReadOnlySpan<byte> text)
    {
        if (!Utf8.IsValid(text))
            throw new InvalidDataException($"{file}: its JSON is not valid UTF-8");
    }

    /// <summary>The string or property name that the reader stands on. An escape that is half a character is refused.</summary>
    public static string StringAt(string file, ref Utf8JsonReader reader)
    {
        try
        {
            return reader.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw new InvalidDataException($"{file}: the string at byte {reader.TokenStartIndex} of its JSON holds half a character");
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

    /// <summary>The error for text that is not JSON.</summary>
    public static InvalidDataException Malformed(string file, JsonException error) =>
        new($"{file}: not valid JSON: {error.Message}", error);

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
