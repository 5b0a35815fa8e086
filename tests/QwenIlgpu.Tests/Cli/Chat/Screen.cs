using System.Globalization;
using System.Text;
using Spectre.Console.Rendering;

namespace QwenIlgpu.Tests.Cli.Chat;

/// <summary>
/// A terminal's window as far as chats need one: it shows what is written to it, and wraps as xterm does, which begins the next row with the
/// character that no longer fits and not before.
/// </summary>
internal sealed class Screen(int columns, int rows) : TextWriter
{
    private readonly List<List<string>> cells = [[]];
    private string pending = "";
    private int top;

    public override Encoding Encoding => Encoding.UTF8;

    /// <summary>Row and column of the cursor; rows are counted from the first that was ever shown.</summary>
    public (int Row, int Column) Cursor { get; private set; }

    /// <summary>What stands on each row, those that have left the window above included.</summary>
    public string[] Rows => [.. cells.Select(row => string.Concat(row).TrimEnd())];

    /// <summary>Rows that are not blank.</summary>
    public string[] Text => [.. Rows.Where(r => r.Length > 0)];

    public bool PastesAreMarked { get; private set; }

    public override void Write(char value) => Write(value.ToString());

    public override void Write(string? value)
    {
        pending += value;
        int i = 0;
        while (i < pending.Length && TakeFrom(i) is > 0 and int length)
            i += length;
        pending = pending[i..];
    }

    // How much of what is pending makes one sign; zero where the rest of it has not come.
    private int TakeFrom(int start)
    {
        string rest = pending[start..];
        if (rest[0] == '\e')
        {
            int end = rest.Length < 2 ? -1 : rest[1] != '[' ? 1 : rest.AsSpan(2).IndexOfAnyInRange('@', '~') is >= 0 and int at ? at + 2 : -1;
            if (end > 1)
                Obey(rest[end], rest[2..end]);
            return end + 1;
        }

        if (rest[0] is '\r' or '\n')
        {
            Cursor = rest[0] == '\r' ? Cursor with { Column = 0 } : Cursor with { Row = Cursor.Row + 1 };
            Scroll();
            return 1;
        }

        int length = StringInfo.GetNextTextElementLength(rest);
        Show(rest[..length]);
        return length;
    }

    private void Show(string character)
    {
        int width = Math.Min(new Segment(character).CellCount(), 2);
        if (Cursor.Column + width > columns)
        {
            Cursor = (Cursor.Row + 1, 0);
            Scroll();
        }

        List<string> row = cells[Cursor.Row];
        while (row.Count < Cursor.Column + width)
            row.Add(" ");
        row[Cursor.Column] = character;
        for (int i = 1; i < width; i++)
            row[Cursor.Column + i] = "";
        Cursor = Cursor with { Column = Cursor.Column + width };
    }

    private void Obey(char command, string given)
    {
        int count = int.TryParse(given, CultureInfo.InvariantCulture, out int number) ? number : 1;
        List<string> row = cells[Cursor.Row];
        switch (command)
        {
            case 'A': Cursor = Cursor with { Row = Math.Max(Cursor.Row - count, top) }; break;
            case 'C': Cursor = Cursor with { Column = Math.Min(Cursor.Column + count, columns - 1) }; break;
            case 'H': Cursor = (top, 0); break;
            case 'J' when given == "2":
                cells.RemoveRange(top, cells.Count - top);
                Scroll();
                break;
            case 'J':
                cells.RemoveRange(Cursor.Row + 1, cells.Count - Cursor.Row - 1);
                row.RemoveRange(Math.Min(Cursor.Column, row.Count), Math.Max(row.Count - Cursor.Column, 0));
                break;
            case 'K' when given == "2": row.Clear(); break;
            case 'K': row.RemoveRange(Math.Min(Cursor.Column, row.Count), Math.Max(row.Count - Cursor.Column, 0)); break;
            case 'h' or 'l' when given == "?2004": PastesAreMarked = command == 'h'; break;
        }
    }

    private void Scroll()
    {
        while (cells.Count <= Cursor.Row)
            cells.Add([]);
        top = Math.Max(top, cells.Count - rows);
    }
}
