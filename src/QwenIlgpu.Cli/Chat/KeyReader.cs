using System.Text;

namespace QwenIlgpu.Cli.Chat;

/// <summary>What a key asks for.</summary>
internal enum KeyKind
{
    Unknown,
    Text,
    Enter,
    NewLine,
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    Up,
    Down,
    Backspace,
    Delete,
    EraseWord,
    EraseToStart,
    EraseToEnd,
    Redraw,
    Interrupt,
    EndOfInput,
    Closed,
}

/// <summary>A key, or a run of typed or pasted text.</summary>
internal readonly record struct Key(KeyKind Kind, string Text = "");

/// <summary>
/// Tells keys apart in what a terminal in raw mode sends. Escape is no key of its own but the beginning of one, so that nothing depends on
/// how fast bytes arrive.
/// </summary>
internal sealed class KeyReader(Stream input)
{
    private const char Escape = '\e';
    private const char Rubout = '\x7f';
    private const string PasteEnd = "\e[201~";
    private const int BufferBytes = 4096;

    private readonly byte[] bytes = new byte[BufferBytes];
    private readonly char[] chars = new char[BufferBytes + 1];
    private readonly Decoder decoder = Encoding.UTF8.GetDecoder();
    private int next;
    private int end;

    /// <summary>Whether more has arrived already.</summary>
    public bool HasMore => next < end;

    /// <summary>Waits for the next key.</summary>
    public Key Read()
    {
        if (!HasMore && !Fill())
            return new Key(KeyKind.Closed);
        char c = chars[next++];
        return c switch
        {
            Escape => ReadEscape(),
            '\r' or '\n' => new Key(KeyKind.Enter),
            Rubout => new Key(KeyKind.Backspace),
            < ' ' => new Key(OfControl((char)(c + '@'))),
            _ when char.IsControl(c) => new Key(KeyKind.Unknown),
            _ => ReadText(),
        };
    }

    private static KeyKind OfControl(char letter) => letter switch
    {
        'A' => KeyKind.Home,
        'B' => KeyKind.Left,
        'C' => KeyKind.Interrupt,
        'D' => KeyKind.EndOfInput,
        'E' => KeyKind.End,
        'F' => KeyKind.Right,
        'H' => KeyKind.Backspace,
        'K' => KeyKind.EraseToEnd,
        'L' => KeyKind.Redraw,
        'N' => KeyKind.Down,
        'P' => KeyKind.Up,
        'U' => KeyKind.EraseToStart,
        'W' => KeyKind.EraseWord,
        _ => KeyKind.Unknown,
    };

    private Key ReadText()
    {
        int start = next - 1;
        while (HasMore && !char.IsControl(chars[next]))
            next++;
        return new Key(KeyKind.Text, new string(chars, start, next - start));
    }

    private Key ReadEscape() => Next() switch
    {
        '[' => ReadSequence(),
        'O' => new Key(OfFinal(Next(), "")),
        '\r' or '\n' => new Key(KeyKind.NewLine),
        'b' => new Key(KeyKind.WordLeft),
        'f' => new Key(KeyKind.WordRight),
        Rubout or '\b' => new Key(KeyKind.EraseWord),
        _ => new Key(KeyKind.Unknown),
    };

    // ESC [ parameters final
    private Key ReadSequence()
    {
        var parameters = new StringBuilder();
        int c;
        while ((c = Next()) is >= ' ' and < '@')
            parameters.Append((char)c);
        string given = parameters.ToString();
        return c == '~' && given == "200" ? new Key(KeyKind.Text, ReadPaste()) : new Key(OfFinal(c, given));
    }

    private static KeyKind OfFinal(int final, string parameters)
    {
        bool modified = parameters.Contains(';', StringComparison.Ordinal);
        return (final, parameters.Split(';')[0]) switch
        {
            ('A', _) => KeyKind.Up,
            ('B', _) => KeyKind.Down,
            ('C', _) => modified ? KeyKind.WordRight : KeyKind.Right,
            ('D', _) => modified ? KeyKind.WordLeft : KeyKind.Left,
            ('H', _) or ('~', "1" or "7") => KeyKind.Home,
            ('F', _) or ('~', "4" or "8") => KeyKind.End,
            ('~', "3") => KeyKind.Delete,
            _ => KeyKind.Unknown,
        };
    }

    private string ReadPaste()
    {
        var text = new StringBuilder();
        while (Next() is >= 0 and int c)
        {
            text.Append((char)c);
            int kept = text.Length - PasteEnd.Length;
            if (c == PasteEnd[^1] && kept >= 0 && text.ToString(kept, PasteEnd.Length) == PasteEnd)
            {
                text.Length = kept;
                break;
            }
        }

        return Printable(text.ToString());
    }

    /// <summary>A text as it may stand in a line: line ends as line feeds, and of other control characters only tabs.</summary>
    public static string Printable(string text) => string.Concat(
        text.ReplaceLineEndings("\n").Where(c => c is '\n' or '\t' || !char.IsControl(c)));

    private int Next() => HasMore || Fill() ? chars[next++] : -1;

    private bool Fill()
    {
        (next, end) = (0, 0);
        while (end == 0)
        {
            int count = input.Read(bytes);
            if (count == 0)
                return false;

            // Part of a character waits in the decoder for the rest.
            end = decoder.GetChars(bytes, 0, count, chars, 0);
        }

        return true;
    }
}
