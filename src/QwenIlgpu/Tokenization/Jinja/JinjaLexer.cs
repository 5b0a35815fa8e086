namespace QwenIlgpu;

/// <summary>What a token of a template is.</summary>
internal enum JinjaTokenKind
{
    /// <summary>Text outside of tags.</summary>
    Data,
    BlockBegin,
    BlockEnd,
    PrintBegin,
    PrintEnd,
    Name,
    Integer,
    Float,
    String,
    Operator,
    End,
}

/// <summary>A token of a template; the text of a string is what it stands for.</summary>
internal readonly record struct JinjaToken(JinjaTokenKind Kind, string Text, JinjaPosition At)
{
    public bool Is(JinjaTokenKind kind, string text) => Kind == kind && Text == text;

    public bool IsOperator(string text) => Is(JinjaTokenKind.Operator, text);

    public bool IsName(string text) => Is(JinjaTokenKind.Name, text);

    public override string ToString() => Kind switch
    {
        JinjaTokenKind.BlockBegin => "begin of statement block",
        JinjaTokenKind.BlockEnd => "end of statement block",
        JinjaTokenKind.PrintBegin => "begin of print statement",
        JinjaTokenKind.PrintEnd => "end of print statement",
        JinjaTokenKind.Data => "template data / text",
        JinjaTokenKind.End => "end of template",
        _ => Text,
    };
}

/// <summary>
/// Cuts a template's source to tokens, as jinja2 does with trim_blocks and lstrip_blocks: the line feed behind a statement goes, so do
/// blanks before one at the start of a line, and one line feed at the end of the source.
/// </summary>
internal sealed partial class JinjaLexer
{
    private readonly string source;
    private readonly List<JinjaToken> tokens = [];
    private int at;
    private int positionAt;
    private JinjaPosition position = new(1, 1);

    private JinjaLexer(string source)
    {
        string lines = source.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');
        this.source = lines.EndsWith('\n') ? lines[..^1] : lines;
    }

    public static List<JinjaToken> Read(string source)
    {
        JinjaLexer lexer = new(source);
        bool isLineStart = true;
        while (lexer.at < lexer.source.Length)
            isLineStart = lexer.ReadData(isLineStart);
        lexer.Add(JinjaTokenKind.End, "");
        return lexer.tokens;
    }

    // Text up to the next tag, and the tag. Says whether the tag ends with a line feed.
    private bool ReadData(bool isLineStart)
    {
        int tag = at;
        while (tag < source.Length && !(source[tag] == '{' && tag + 1 < source.Length && source[tag + 1] is '{' or '%' or '#'))
        {
            int step = tag + 1 < source.Length ? source.AsSpan(tag + 1).IndexOf('{') : -1;
            tag = step < 0 ? source.Length : tag + 1 + step;
        }

        if (tag == source.Length)
        {
            AddData(at, tag);
            at = tag;
            return false;
        }

        char kind = source[tag + 1];
        AddData(at, StripBefore(at, tag, isLineStart, isStatement: kind != '{'));
        at = tag + 2;
        if (at < source.Length && source[at] is '-' or '+') at++;
        switch (kind)
        {
            case '#':
                int end = source.IndexOf("#}", at, StringComparison.Ordinal);
                if (end < 0) throw Error("Missing end of comment tag", tag);
                bool isTrimmed = end > at && source[end - 1] == '-';
                bool isKept = end > at && source[end - 1] == '+';
                at = end + 2;
                SkipAfter(isTrimmed, isKept);
                break;
            case '{':
                tokens.Add(new JinjaToken(JinjaTokenKind.PrintBegin, "", PositionOf(tag)));
                ReadTag("}}", JinjaTokenKind.PrintEnd, tag);
                break;
            default:
                if (!TryReadRaw(tag))
                {
                    tokens.Add(new JinjaToken(JinjaTokenKind.BlockBegin, "", PositionOf(tag)));
                    ReadTag("%}", JinjaTokenKind.BlockEnd, tag);
                }

                break;
        }

        return source[at - 1] == '\n';
    }

    // Where the text before a tag ends: a minus takes all white space, a statement the blanks at the start of its line.
    private int StripBefore(int start, int tag, bool isLineStart, bool isStatement)
    {
        char sign = tag + 2 < source.Length ? source[tag + 2] : ' ';
        int end = tag;
        if (sign == '-')
        {
            while (end > start && PythonText.IsSpace(source[end - 1])) end--;
        }
        else if (sign != '+' && isStatement)
        {
            int line = tag > start ? source.LastIndexOf('\n', tag - 1, tag - start) + 1 : 0;
            if (line == 0 && !isLineStart) return tag;
            line = Math.Max(line, start);
            while (end > line && PythonText.IsSpace(source[end - 1])) end--;
            if (end > line) end = tag;
        }

        return end;
    }

    private bool TryReadRaw(int tag)
    {
        int after = at;
        while (after < source.Length && PythonText.IsSpace(source[after])) after++;
        if (string.CompareOrdinal(source, after, "raw", 0, 3) != 0) return false;
        after += 3;
        while (after < source.Length && PythonText.IsSpace(source[after])) after++;
        bool isTrimmed = after < source.Length && source[after] == '-';
        if (isTrimmed) after++;
        if (string.CompareOrdinal(source, after, "%}", 0, 2) != 0) return false;
        after += 2;
        while (isTrimmed && after < source.Length && PythonText.IsSpace(source[after])) after++;

        for (int end = after; (end = source.IndexOf("{%", end, StringComparison.Ordinal)) >= 0; end += 2)
        {
            int word = end + 2;
            if (word < source.Length && source[word] is '-' or '+') word++;
            while (word < source.Length && PythonText.IsSpace(source[word])) word++;
            if (string.CompareOrdinal(source, word, "endraw", 0, 6) != 0) continue;
            word += 6;
            while (word < source.Length && PythonText.IsSpace(source[word])) word++;
            char sign = word < source.Length && source[word] is '-' or '+' ? source[word++] : ' ';
            if (string.CompareOrdinal(source, word, "%}", 0, 2) != 0) continue;

            at = after;
            AddData(after, StripBefore(after, end, isLineStart: false, isStatement: true));
            at = word + 2;
            SkipAfter(sign == '-', sign == '+');
            return true;
        }

        throw Error("Missing end of raw directive", tag);
    }

    // What follows a statement or a comment: all white space behind a minus, else one line feed.
    private void SkipAfter(bool isTrimmed, bool isKept)
    {
        if (isTrimmed)
        {
            while (at < source.Length && PythonText.IsSpace(source[at])) at++;
        }
        else if (!isKept && at < source.Length && source[at] == '\n')
        {
            at++;
        }
    }

    private void AddData(int start, int end)
    {
        if (end > start) tokens.Add(new JinjaToken(JinjaTokenKind.Data, source[start..end], PositionOf(start)));
    }

    private void Add(JinjaTokenKind kind, string text) => tokens.Add(new JinjaToken(kind, text, PositionOf(at)));

    private JinjaException Error(string words, int offset) => new(words, PositionOf(offset));

    // Tokens come in order, so that lines are counted once; only errors look back.
    private JinjaPosition PositionOf(int offset)
    {
        if (offset < positionAt) (positionAt, position) = (0, new JinjaPosition(1, 1));
        ReadOnlySpan<char> passed = source.AsSpan(positionAt, offset - positionAt);
        int last = passed.LastIndexOf('\n');
        position = last < 0
            ? position with { Column = position.Column + passed.Length }
            : new JinjaPosition(position.Line + passed.Count('\n'), passed.Length - last);
        positionAt = offset;
        return position;
    }
}
