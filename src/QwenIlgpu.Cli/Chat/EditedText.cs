using System.Globalization;

namespace QwenIlgpu.Cli.Chat;

/// <summary>A text of one or more lines with a cursor, which stands between characters as a reader counts them.</summary>
internal sealed class EditedText
{
    public string Text { get; private set; } = "";

    /// <summary>Index in <see cref="Text"/> before which the next text goes.</summary>
    public int Cursor { get; private set; }

    private int LineStart => Text.AsSpan(0, Cursor).LastIndexOf('\n') + 1;

    private int LineEnd => Text.IndexOf('\n', Cursor) is >= 0 and int end ? end : Text.Length;

    /// <summary>Puts another text in the place of this one, the cursor behind it.</summary>
    public void Set(string text) => (Text, Cursor) = (text, text.Length);

    public void Insert(string text)
    {
        Text = Text.Insert(Cursor, text);
        Cursor += text.Length;
    }

    public void Left() => Cursor = Before(Cursor);

    public void Right() => Cursor = After(Cursor);

    public void Home() => Cursor = LineStart;

    public void End() => Cursor = LineEnd;

    public void WordLeft() => Cursor = WordStart();

    public void WordRight()
    {
        while (Cursor < Text.Length && !char.IsLetterOrDigit(Text[Cursor]))
            Cursor = After(Cursor);
        while (Cursor < Text.Length && char.IsLetterOrDigit(Text[Cursor]))
            Cursor = After(Cursor);
    }

    /// <summary>To the line above, at the same distance from its start; false where there is none.</summary>
    public bool Up()
    {
        int start = LineStart;
        if (start == 0)
            return false;
        int above = Text.AsSpan(0, start - 1).LastIndexOf('\n') + 1;
        MoveTo(above, start - 1, Cursor - start);
        return true;
    }

    /// <summary>To the line below; false where there is none.</summary>
    public bool Down()
    {
        int end = LineEnd;
        if (end == Text.Length)
            return false;
        int next = Text.IndexOf('\n', end + 1);
        MoveTo(end + 1, next < 0 ? Text.Length : next, Cursor - LineStart);
        return true;
    }

    public void Backspace() => Erase(Before(Cursor), Cursor);

    public void Delete() => Erase(Cursor, After(Cursor));

    public void EraseToStart() => Erase(LineStart, Cursor);

    public void EraseToEnd() => Erase(Cursor, LineEnd);

    /// <summary>Erases back to the blank before the word, as terminals do.</summary>
    public void EraseWord()
    {
        int start = Cursor;
        while (start > 0 && char.IsWhiteSpace(Text[start - 1]))
            start--;
        while (start > 0 && !char.IsWhiteSpace(Text[start - 1]))
            start--;
        Erase(start, Cursor);
    }

    private int WordStart()
    {
        int start = Cursor;
        while (start > 0 && !char.IsLetterOrDigit(Text[Before(start)]))
            start = Before(start);
        while (start > 0 && char.IsLetterOrDigit(Text[Before(start)]))
            start = Before(start);
        return start;
    }

    private void Erase(int start, int end) => (Text, Cursor) = (Text.Remove(start, end - start), start);

    // The last place of the line at or before the wanted one where a character begins.
    private void MoveTo(int lineStart, int lineEnd, int distance)
    {
        int wanted = Math.Min(lineStart + distance, lineEnd);
        Cursor = lineStart;
        while (Cursor < wanted && After(Cursor) <= wanted)
            Cursor = After(Cursor);
    }

    private int After(int index) => index + StringInfo.GetNextTextElementLength(Text.AsSpan(index));

    // Characters are found from the line's start on: what joins to what cannot be told backwards.
    private int Before(int index)
    {
        if (index == 0)
            return 0;
        if (Text[index - 1] == '\n')
            return index - 1;
        int start = Text.AsSpan(0, index).LastIndexOf('\n') + 1;
        while (After(start) < index)
            start = After(start);
        return start;
    }
}
