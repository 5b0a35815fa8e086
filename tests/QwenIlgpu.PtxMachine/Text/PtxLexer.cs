namespace QwenIlgpu.PtxMachine;

/// <summary>A word, a number, a string or a sign of a PTX text, and the line it stands on, from 1.</summary>
internal readonly record struct Token(string Text, int Line);

/// <summary>Cuts a PTX text into tokens; comments are left out.</summary>
internal static class PtxLexer
{
    public static List<Token> Tokens(string text)
    {
        var tokens = new List<Token>(text.Length / 5);
        int line = 1;
        for (int i = 0; i < text.Length;)
        {
            char c = text[i];
            if (c == '\n')
                line++;
            if (char.IsWhiteSpace(c))
            {
                i++;
                continue;
            }

            if (c == '/' && i + 1 < text.Length && text[i + 1] is '/' or '*')
            {
                string end = text[i + 1] == '/' ? "\n" : "*/";
                int stop = text.IndexOf(end, i + 2, StringComparison.Ordinal);
                stop = stop < 0 ? text.Length : end == "\n" ? stop : stop + 2;
                line += text.AsSpan(i, stop - i).Count('\n');
                i = stop;
                continue;
            }

            int start = i;
            i = c == '"' ? text.IndexOf('"', i + 1) + 1 : EndOfWord(text, i);
            if (i <= start)
                i = start + 1;
            tokens.Add(new Token(text[start..i], line));
        }

        return tokens;
    }

    public static bool IsWord(string token) => IsOfWord(token[0]);

    // Two colons are part of an opcode (.L1::no_allocate), one ends a label.
    private static int EndOfWord(string text, int i)
    {
        while (i < text.Length)
        {
            if (IsOfWord(text[i]))
                i++;
            else if (text[i] == ':' && i + 2 < text.Length && text[i + 1] == ':' && IsOfWord(text[i + 2]))
                i += 2;
            else
                break;
        }

        return i;
    }

    private static bool IsOfWord(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '$' or '%' or '.';
}
