using System.Globalization;
using System.Text;
using Spectre.Console.Rendering;

namespace QwenIlgpu.Cli.Chat;

/// <summary>
/// An edited text as rows of a terminal. Rows end one column early, where no terminal has begun the next one by itself, so that the cursor
/// has a place behind every row.
/// </summary>
/// <param name="Rows">What the rows show, prompt included.</param>
/// <param name="CursorRow">The row with the cursor.</param>
/// <param name="CursorColumn">Columns before the cursor.</param>
internal sealed record TextRows(IReadOnlyList<string> Rows, int CursorRow, int CursorColumn)
{
    private const string Prompt = "> ";
    private const string Continuation = "  ";
    private const string Tab = "    ";
    private const int FewestColumns = 8;

    public static TextRows Of(string text, int cursor, int columns)
    {
        int most = Math.Max(columns, FewestColumns) - 1;
        var rows = new List<string>();
        var row = new StringBuilder(Prompt);
        int column = Prompt.Length;
        (int Row, int Column) place = (0, 0);
        for (int i = 0; i <= text.Length;)
        {
            int length = i < text.Length ? StringInfo.GetNextTextElementLength(text.AsSpan(i)) : 0;
            string character = text.Substring(i, length);
            string shown = character == "\t" ? Tab : character;
            int width = character is "\n" or "" ? 0 : WidthOf(shown);
            if (column + width > most)
                Begin("");
            if (i == cursor)
                place = (rows.Count, column);
            if (character == "\n")
                Begin(Continuation);
            else
                row.Append(shown);
            column += width;
            i += Math.Max(length, 1);
        }

        rows.Add(row.ToString());
        return new TextRows(rows, place.Row, place.Column);

        void Begin(string with)
        {
            rows.Add(row.ToString());
            row.Clear().Append(with);
            column = with.Length;
        }
    }

    /// <summary>As many rows as a window holds, those with the cursor among them.</summary>
    public TextRows Within(int windowRows)
    {
        int most = Math.Max(windowRows, 1);
        if (Rows.Count <= most)
            return this;
        int first = Math.Clamp(CursorRow - most + 1, 0, Rows.Count - most);
        return new TextRows([.. Rows.Skip(first).Take(most)], CursorRow - first, CursorColumn);
    }

    // What terminals draw as one picture is two columns wide, of however many parts it is.
    private static int WidthOf(string character) => character.Length == 1 && char.IsAscii(character[0])
        ? 1 : Math.Min(new Segment(character).CellCount(), character == Tab ? Tab.Length : 2);
}
