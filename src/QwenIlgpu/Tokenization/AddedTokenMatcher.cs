using System.Buffers;
using System.Globalization;
using System.Text;

namespace QwenIlgpu;

/// <summary>
/// Finds added tokens in a text as Hugging Face's tokenizers do: the leftmost one, and of those that begin there the longest; what a token
/// refuses for its neighbours is passed over as a whole.
/// </summary>
internal sealed class AddedTokenMatcher
{
    private readonly (string Content, AddedToken Token)[] longestFirst;
    private readonly SearchValues<char> firstCharacters;

    /// <summary>Tokens whose contents are compared as <paramref name="form"/> has them.</summary>
    public AddedTokenMatcher(IEnumerable<AddedToken> tokens, Func<string, string> form)
    {
        longestFirst =
        [
            .. tokens.Select(token => (Content: form(token.Content), Token: token))
                .OrderByDescending(t => t.Content.Length).ThenByDescending(t => t.Token.Special).ThenBy(t => t.Token.Id),
        ];
        firstCharacters = SearchValues.Create([.. longestFirst.Select(t => t.Content[0]).Distinct()]);
    }

    /// <summary>True where there is no token to find.</summary>
    public bool IsEmpty => longestFirst.Length == 0;

    /// <summary>The first token that the text spells out, whatever its neighbours; null where there is none.</summary>
    public AddedToken? First(ReadOnlySpan<char> text) => Next(text, 0, text.Length, out _).Token;

    /// <summary>
    /// The tokens that lie wholly in one of the ranges, which are in order, each with what it takes of the text: its content, and white
    /// space where it strips, outside of the range as well.
    /// </summary>
    public IEnumerable<(AddedToken Token, TextRange Place)> Find(string text, IEnumerable<TextRange> ranges)
    {
        int done = 0;
        TextRange blanks = default;                     // the last white space that was looked through
        foreach (TextRange range in ranges)
        {
            for (int next = range.Start; Next(text, next, range.End, out int start) is ({ } content, { } token);)
            {
                int stop = next = start + content.Length;
                if (token.SingleWord && (EndsWithWord(text.AsSpan(0, start)) || StartsWithWord(text.AsSpan(stop))))
                    continue;
                if (token.LStrip)
                    start = done + (start > done ? text.AsSpan(done, start - done).TrimEnd().Length : 0);
                if (token.RStrip && (stop < blanks.Start || stop >= blanks.End))
                    blanks = new TextRange(stop, text.Length - text.AsSpan(stop).TrimStart().Length);
                if (token.RStrip)
                    stop = blanks.End;
                yield return (token, new TextRange(start, stop));
                done = stop;
            }
        }
    }

    private (string? Content, AddedToken? Token) Next(ReadOnlySpan<char> text, int start, int end, out int position)
    {
        for (position = start; position < end; position++)
        {
            int step = text[position..end].IndexOfAny(firstCharacters);
            if (step < 0) break;
            position += step;
            foreach ((string content, AddedToken token) in longestFirst)
                if (text[position..end].StartsWith(content, StringComparison.Ordinal)) return (content, token);
        }

        position = end;
        return default;
    }

    private static bool StartsWithWord(ReadOnlySpan<char> text) => Rune.DecodeFromUtf16(text, out Rune rune, out _) == OperationStatus.Done && IsWord(rune);

    private static bool EndsWithWord(ReadOnlySpan<char> text) => Rune.DecodeLastFromUtf16(text, out Rune rune, out _) == OperationStatus.Done && IsWord(rune);

    // \w of Unicode's regular expressions: alphabetic characters (the circled and squared letters are), marks, digits, connectors, joiners.
    private static bool IsWord(Rune rune) => Rune.GetUnicodeCategory(rune) switch
    {
        <= UnicodeCategory.OtherLetter or UnicodeCategory.LetterNumber or UnicodeCategory.DecimalDigitNumber => true,
        UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark => true,
        UnicodeCategory.ConnectorPunctuation => true,
        _ => rune.Value is 0x200C or 0x200D or (>= 0x24B6 and <= 0x24E9)
            or (>= 0x1F130 and <= 0x1F149) or (>= 0x1F150 and <= 0x1F169) or (>= 0x1F170 and <= 0x1F189),
    };
}
