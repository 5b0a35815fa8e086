using System.Text;

namespace QwenIlgpu;

/// <summary>Well-formed UTF-16.</summary>
internal static class Unicode
{
    /// <summary>The text with U+FFFD for each surrogate without its partner, as an encoder to UTF-8 would have it; same length.</summary>
    public static string ReplaceUnpairedSurrogates(string text)
    {
        int first = FirstUnpaired(text, 0);
        if (first < 0) return text;

        StringBuilder replaced = new(text);
        for (int i = first; i >= 0; i = FirstUnpaired(text, i + 1))
            replaced[i] = '\uFFFD';
        return replaced.ToString();
    }

    private static int FirstUnpaired(string text, int start)
    {
        for (int i = start; i < text.Length; i++)
        {
            int step = text.AsSpan(i).IndexOfAnyInRange('\uD800', '\uDFFF');
            if (step < 0) return -1;
            i += step;
            if (i + 1 == text.Length || !char.IsSurrogatePair(text[i], text[i + 1])) return i;
            i++;
        }

        return -1;
    }
}
