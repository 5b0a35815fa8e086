namespace QwenIlgpu.Cli.Chat;

/// <summary>Which of the words there are someone may have meant.</summary>
internal static class NearestWord
{
    /// <summary>The word that the fewest insertions, deletions and replacements make of another; the first of equals.</summary>
    public static string To(string word, IEnumerable<string> words) => words.MinBy(w => Distance(word, w))!;

    private static int Distance(string from, string to)
    {
        int[] row = [.. Enumerable.Range(0, to.Length + 1)];
        for (int i = 1; i <= from.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= to.Length; j++)
            {
                int replaced = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[^1];
    }
}
