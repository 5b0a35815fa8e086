namespace QwenIlgpu.Cli;

/// <summary>What somebody who misspells a name may have meant.</summary>
internal static class NearMiss
{
    // Anything is near to less than this.
    private const int ShortestText = 3;

    /// <summary>" (did you mean NAME?)" for the name that is nearest, or nothing where none is near.</summary>
    public static string Question(string text, IEnumerable<string> names) => Of(text, names) is { } name ? $" (did you mean {name}?)" : "";

    /// <summary>The name that is nearest: one of both begins the other, or with a letter in three left out, added, changed or swapped with its neighbour.</summary>
    public static string? Of(string text, IEnumerable<string> names)
    {
        string given = text.TrimStart('-');
        if (given.Length < ShortestText)
            return null;
        int most = Math.Clamp(given.Length / 3, 1, 3);
        return names.Select(name => (Name: name, Distance: Distance(given, name.TrimStart('-'))))
            .Where(n => n.Distance <= most || IsBegun(n.Name.TrimStart('-'), given) || IsBegun(given, n.Name.TrimStart('-')))
            .OrderBy(n => n.Distance).Select(n => n.Name).FirstOrDefault();
    }

    private static bool IsBegun(string name, string with) => with.Length >= ShortestText && name.StartsWith(with, StringComparison.OrdinalIgnoreCase);

    // Optimal string alignment.
    private static int Distance(string a, string b)
    {
        var distances = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++)
        {
            for (int j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    distances[i, j] = i + j;
                    continue;
                }

                int changed = char.ToLowerInvariant(a[i - 1]) == char.ToLowerInvariant(b[j - 1]) ? 0 : 1;
                int least = Math.Min(distances[i - 1, j - 1] + changed, Math.Min(distances[i - 1, j], distances[i, j - 1]) + 1);
                bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                distances[i, j] = swapped ? Math.Min(least, distances[i - 2, j - 2] + 1) : least;
            }
        }

        return distances[a.Length, b.Length];
    }
}
