namespace QwenIlgpu;

/// <summary>
/// The printable character that stands for each byte in a byte-level vocabulary: printable Latin-1 stands for itself, the 68 other
/// bytes for U+0100 onwards, in order.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] characters = MakeCharacters();
    private static readonly short[] bytes = MakeBytes();

    /// <summary>The character of a byte.</summary>
    public static char ToCharacter(byte value) => characters[value];

    /// <summary>The byte of a character, or -1 where the character stands for none.</summary>
    public static int ToByte(char character) => character < bytes.Length ? bytes[character] : -1;

    private static char[] MakeCharacters()
    {
        char[] table = new char[256];
        char next = '\u0100';
        for (int value = 0; value < 256; value++)
            table[value] = value is (>= '!' and <= '~') or (>= '\u00A1' and <= '\u00AC') or (>= '\u00AE') ? (char)value : next++;
        return table;
    }

    private static short[] MakeBytes()
    {
        short[] table = new short[characters.Max() + 1];
        Array.Fill(table, (short)-1);
        for (int value = 0; value < 256; value++)
            table[characters[value]] = (short)value;
        return table;
    }
}
