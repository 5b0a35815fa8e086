using System.Buffers;

namespace QwenIlgpu;

/// <summary>Finds added tokens in a text: the leftmost one, and of those that begin there the longest.</summary>
internal sealed class AddedTokenMatcher
{
    private readonly AddedToken[] longestFirst;
    private readonly SearchValues<char> firstCharacters;

    public AddedTokenMatcher(IEnumerable<AddedToken> tokens)
    {
        longestFirst = [.. tokens.OrderByDescending(token => token.Content.Length)];
        firstCharacters = SearchValues.Create([.. longestFirst.Select(token => token.Content[0]).Distinct()]);
    }

    /// <summary>The first token that lies wholly in text[start, end), and where it begins; null where there is none.</summary>
    public AddedToken? Find(ReadOnlySpan<char> text, int start, int end, out int position)
    {
        for (position = start; position < end; position++)
        {
            int step = text[position..end].IndexOfAny(firstCharacters);
            if (step < 0) break;
            position += step;
            foreach (AddedToken token in longestFirst)
                if (text[position..end].StartsWith(token.Content, StringComparison.Ordinal)) return token;
        }

        position = end;
        return null;
    }
}
