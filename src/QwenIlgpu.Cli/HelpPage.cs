namespace QwenIlgpu.Cli;

/// <summary>Lays out a help page: text that breaks between words, and lists of labels with texts beside or, where that is narrow, below.</summary>
internal sealed class HelpPage(TextWriter writer, int width)
{
    private const int Indent = 2;
    private const int Gap = 2;

    // From this width on texts stand beside their labels.
    private const int TwoColumns = 64;

    // Of labels and texts below each other.
    private const int TextIndent = 8;

    public void WriteSection(string title)
    {
        writer.WriteLine();
        writer.WriteLine(title);
    }

    /// <summary>A paragraph.</summary>
    public void WriteText(string text, int indent = 0) => WriteLines(Wrap(text.Split(' '), width - indent), indent);

    /// <summary>A command that a shell takes as it stands: broken between arguments only, with a backslash before each break.</summary>
    public void WriteCommand(string command)
    {
        const string Break = " \\";
        List<string> lines = Wrap(Arguments(command), width - (2 * Indent) - Break.Length);
        for (int i = 0; i < lines.Count; i++)
            writer.WriteLine(new string(' ', i == 0 ? Indent : 2 * Indent) + lines[i] + (i < lines.Count - 1 ? Break : ""));
    }

    /// <summary>A list, if it has entries.</summary>
    public void WriteList(string title, IReadOnlyList<(string Label, string Text)> rows)
    {
        if (rows.Count == 0)
            return;
        WriteSection(title);
        int widestLabel = width / 3;
        int column = width < TwoColumns ? 0 : Indent + Gap + rows.Max(r => r.Label.Length <= widestLabel ? r.Label.Length : 0);
        foreach ((string label, string text) in rows)
            WriteRow(label, text, column);
    }

    private void WriteRow(string label, string text, int column)
    {
        if (column == 0)
        {
            WriteText(label.TrimStart(), Indent);
            WriteText(text, TextIndent);
            return;
        }

        List<string> lines = Wrap(text.Split(' '), width - column);
        string first = new string(' ', Indent) + label;
        if (first.Length + Gap <= column)
        {
            writer.WriteLine(first.PadRight(column) + lines[0]);
            lines.RemoveAt(0);
        }
        else
        {
            writer.WriteLine(first);
        }

        WriteLines(lines, column);
    }

    private void WriteLines(List<string> lines, int indent)
    {
        foreach (string line in lines)
            writer.WriteLine(new string(' ', indent) + line);
    }

    private static List<string> Wrap(IEnumerable<string> words, int width)
    {
        List<string> lines = [];
        foreach (string word in words)
        {
            if (lines.Count > 0 && lines[^1].Length + 1 + word.Length <= width)
                lines[^1] += " " + word;
            else
                lines.Add(word);
        }

        return lines;
    }

    // A blank within quotes parts nothing.
    private static List<string> Arguments(string command)
    {
        List<string> arguments = [];
        char? quote = null;
        int start = 0;
        for (int i = 0; i < command.Length; i++)
        {
            char c = command[i];
            if (quote is null && c == ' ')
            {
                arguments.Add(command[start..i]);
                start = i + 1;
            }
            else if (c == quote)
            {
                quote = null;
            }
            else if (quote is null && c is '"' or '\'')
            {
                quote = c;
            }
        }

        return [.. arguments, command[start..]];
    }
}
