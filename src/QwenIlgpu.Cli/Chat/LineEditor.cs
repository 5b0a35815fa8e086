using System.Text;

namespace QwenIlgpu.Cli.Chat;

/// <summary>
/// Edits lines at a keyboard: each key changes the text, and the text is drawn anew. Enter ends it; behind a backslash, or with Alt, it
/// begins another line. A paste is text whatever it holds.
/// </summary>
internal sealed class LineEditor(Keyboard keyboard, TextWriter screen, History history) : ILineReader
{
    private const string PasteOn = "\e[?2004h";
    private const string PasteOff = "\e[?2004l";
    private const string ClearWindow = "\e[H\e[2J";

    private readonly KeyReader keys = new(keyboard.Input);
    private EditedText edited = new();
    private int drawnCursorRow;
    private int recalled;
    private string draft = "";

    public ValueTask<string?> ReadAsync()
    {
        string? text = Read();
        if (text is not null)
            history.Add(text);
        return ValueTask.FromResult(text);
    }

    // At the keyboard Ctrl-C is a key.
    public void Interrupt()
    {
    }

    private string? Read()
    {
        (edited, recalled, draft, drawnCursorRow) = (new EditedText(), history.Entries.Count, "", 0);
        using IDisposable raw = keyboard.EnterRaw();
        screen.Write(PasteOn);
        try
        {
            return Edit();
        }
        finally
        {
            screen.Write(PasteOff);
        }
    }

    private string? Edit()
    {
        Draw();
        while (true)
        {
            Key key = keys.Read();
            switch (key.Kind)
            {
                case KeyKind.Enter when !ContinuesBehindBackslash():
                    Leave();
                    return edited.Text;
                case KeyKind.EndOfInput when edited.Text.Length == 0:
                case KeyKind.Closed:
                    Leave();
                    return null;
                case KeyKind.Interrupt:
                    Leave(edited.Text.Length == 0 ? "(/exit or Ctrl-D leaves)\r\n" : "");
                    (edited, recalled) = (new EditedText(), history.Entries.Count);
                    break;
                case KeyKind.Redraw:
                    screen.Write(ClearWindow);
                    drawnCursorRow = 0;
                    break;
                default:
                    Apply(key);
                    break;
            }

            if (!keys.HasMore)
                Draw();
        }
    }

    private void Apply(Key key)
    {
        switch (key.Kind)
        {
            case KeyKind.Text: edited.Insert(key.Text); break;
            case KeyKind.NewLine: edited.Insert("\n"); break;
            case KeyKind.Left: edited.Left(); break;
            case KeyKind.Right: edited.Right(); break;
            case KeyKind.WordLeft: edited.WordLeft(); break;
            case KeyKind.WordRight: edited.WordRight(); break;
            case KeyKind.Home: edited.Home(); break;
            case KeyKind.End: edited.End(); break;
            case KeyKind.Up when !edited.Up(): Recall(recalled - 1); break;
            case KeyKind.Down when !edited.Down(): Recall(recalled + 1); break;
            case KeyKind.Backspace: edited.Backspace(); break;
            case KeyKind.Delete or KeyKind.EndOfInput: edited.Delete(); break;
            case KeyKind.EraseWord: edited.EraseWord(); break;
            case KeyKind.EraseToStart: edited.EraseToStart(); break;
            case KeyKind.EraseToEnd: edited.EraseToEnd(); break;
        }
    }

    // Two backslashes at the end are two backslashes.
    private bool ContinuesBehindBackslash()
    {
        int backslashes = edited.Text.Length - edited.Text.AsSpan().TrimEnd('\\').Length;
        if (edited.Cursor != edited.Text.Length || backslashes % 2 == 0)
            return false;
        edited.Backspace();
        edited.Insert("\n");
        return true;
    }

    private void Recall(int entry)
    {
        if (entry < 0 || entry > history.Entries.Count)
            return;
        if (recalled == history.Entries.Count)
            draft = edited.Text;
        recalled = entry;
        edited.Set(entry == history.Entries.Count ? draft : history.Entries[entry]);
    }

    private void Draw()
    {
        (int columns, int windowRows) = keyboard.WindowSize();
        TextRows rows = TextRows.Of(edited.Text, edited.Cursor, columns).Within(windowRows);
        StringBuilder drawing = Erased().AppendJoin("\r\n", rows.Rows);
        Up(drawing, rows.Rows.Count - 1 - rows.CursorRow).Append('\r');
        if (rows.CursorColumn > 0)
            drawing.Append($"\e[{rows.CursorColumn}C");
        screen.Write(drawing.ToString());
        drawnCursorRow = rows.CursorRow;
    }

    // The whole text stays above what comes next, also where the window held a part of it.
    private void Leave(string message = "")
    {
        TextRows rows = TextRows.Of(edited.Text, edited.Cursor, keyboard.WindowSize().Columns);
        screen.Write(Erased().AppendJoin("\r\n", rows.Rows).Append("\r\n").Append(message).ToString());
        drawnCursorRow = 0;
    }

    private StringBuilder Erased() => Up(new StringBuilder(), drawnCursorRow).Append("\r\e[J");

    private static StringBuilder Up(StringBuilder drawing, int rows) => rows > 0 ? drawing.Append($"\e[{rows}A") : drawing;
}
