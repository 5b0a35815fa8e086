using System.Globalization;
using System.Text;

namespace QwenIlgpu;

/// <summary>
/// Qwen's pre-tokenizer patterns as a scanner over code points. A regular expression of .NET would see UTF-16 units, where a letter
/// outside the basic plane is no letter, and folds no 'ſ to 's.
/// </summary>
internal sealed class QwenPattern
{
    private readonly bool marksAreLetters;

    private QwenPattern(string source, bool marksAreLetters) => (Source, this.marksAreLetters) = (source, marksAreLetters);

    /// <summary>That of Qwen3.5 and later: marks belong to words.</summary>
    public static QwenPattern Qwen35 { get; } = new(
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", true);

    /// <summary>That of Qwen2 and Qwen3, which some tools save: marks are punctuation.</summary>
    public static QwenPattern Qwen2 { get; } = new(
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", false);

    /// <summary>The pattern that <see cref="PieceLength"/> implements, as tokenizer.json writes it.</summary>
    public string Source { get; }

    private enum Kind
    {
        Word, // \p{L}, and \p{M} where marks are letters
        Number,
        LineEnd,
        Space, // \s other than CR and LF
        Other,
    }

    /// <summary>Length in UTF-16 units of the piece that begins the text, which is not empty and holds no unpaired surrogate.</summary>
    public int PieceLength(ReadOnlySpan<char> text)
    {
        int contraction = ContractionLength(text);
        if (contraction > 0) return contraction;

        Kind first = KindAt(text, 0, out int length);
        if (first == Kind.Word) return RunEnd(text, length, Kind.Word);
        if (first == Kind.Number) return length;
        if (first != Kind.LineEnd && StartsWith(text[length..], Kind.Word)) return RunEnd(text, length, Kind.Word);

        int others = text[0] == ' ' ? 1 : 0;
        int othersEnd = RunEnd(text, others, Kind.Other);
        return othersEnd > others ? othersEnd + LineEnds(text[othersEnd..]) : BlankLength(text);
    }

    // \s*[\r\n]+|\s+(?!\S)|\s+ on a run of white space: up to its last line end; else without the blank that precedes a word; else all.
    private static int BlankLength(ReadOnlySpan<char> text)
    {
        int end = 0;
        while (end < text.Length && char.IsWhiteSpace(text[end]))
            end++;
        int lastLineEnd = text[..end].LastIndexOfAny('\r', '\n');
        if (lastLineEnd >= 0) return lastLineEnd + 1;
        return end == text.Length || end == 1 ? end : end - 1;
    }

    private static int LineEnds(ReadOnlySpan<char> text)
    {
        int other = text.IndexOfAnyExcept('\r', '\n');
        return other < 0 ? text.Length : other;
    }

    private bool StartsWith(ReadOnlySpan<char> text, Kind kind) => !text.IsEmpty && KindAt(text, 0, out _) == kind;

    private int RunEnd(ReadOnlySpan<char> text, int start, Kind kind)
    {
        while (start < text.Length && KindAt(text, start, out int length) == kind)
            start += length;
        return start;
    }

    private Kind KindAt(ReadOnlySpan<char> text, int index, out int length)
    {
        length = 1;
        char unit = text[index];
        if (char.IsAsciiLetter(unit)) return Kind.Word;
        if (unit is '\r' or '\n') return Kind.LineEnd;
        if (char.IsWhiteSpace(unit)) return Kind.Space;

        Rune.DecodeFromUtf16(text[index..], out Rune rune, out length);
        return Rune.GetUnicodeCategory(rune) switch
        {
            <= UnicodeCategory.OtherLetter => Kind.Word,
            UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark =>
                marksAreLetters ? Kind.Word : Kind.Other,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Kind.Number,
            _ => Kind.Other,
        };
    }

    // (?i:'s|'t|'re|'ve|'m|'ll|'d). Case folding makes U+017F, the long s, an s.
    private static int ContractionLength(ReadOnlySpan<char> text)
    {
        if (text.Length < 2 || text[0] != '\'') return 0;
        char second = char.ToLowerInvariant(text[1]);
        if (second is 's' or 't' or 'm' or 'd' or '\u017F') return 2;
        if (text.Length < 3) return 0;
        return (second, char.ToLowerInvariant(text[2])) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? 3 : 0;
    }
}
