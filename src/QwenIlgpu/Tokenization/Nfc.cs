using System.Text;

namespace QwenIlgpu;

/// <summary>
/// Unicode normalisation form C, by tables of our own: under InvariantGlobalization string.Normalize returns its input unchanged.
/// </summary>
internal static class Nfc
{
    // Hangul syllables compose and decompose by arithmetic: leading consonant × 21 vowels × 28 trailing consonants (0 = none).
    private const int Leading = 0x1100, Vowel = 0x1161, Trailing = 0x11A7, Syllable = 0xAC00;
    private const int Leadings = 19, Vowels = 21, Trailings = 28, Syllables = Leadings * Vowels * Trailings;

    /// <summary>The text in form C. It must hold no unpaired surrogate.</summary>
    public static string Normalize(string text)
    {
        // Below U+0300 nothing changes unless a combining character follows, and those are all above.
        int start = text.AsSpan().IndexOfAnyExceptInRange('\0', '\u02FF');
        if (start < 0 || IsInert(text.AsSpan(start))) return text;

        List<long> decomposed = new(text.Length + 16);
        foreach (Rune rune in text.EnumerateRunes())
            Decompose(rune.Value, decomposed);
        Span<long> characters = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(decomposed);
        Order(characters);
        return ToText(characters[..Compose(characters)]);
    }

    /// <summary>
    /// The text in form C, and what of it comes from the given ranges of the text alone, which are in order: a character that is made of
    /// both sides of a border belongs to neither.
    /// </summary>
    public static string Normalize(string text, IReadOnlyList<TextRange> ranges, out List<TextRange> moved)
    {
        string whole = Normalize(text);
        moved = [];
        if (ReferenceEquals(whole, text))
        {
            moved.AddRange(ranges);
            return whole;
        }

        StringBuilder normal = new(whole.Length);
        int done = 0;
        foreach (TextRange range in ranges)
        {
            (int start, int end) = (range.Start, range.End);
            while (start < end && !BeginsAnew(text, start))
                start++;
            while (end > start && !BeginsAnew(text, end))
                end--;
            if (start == end)
                continue;
            normal.Append(Normalize(text[done..start]));
            int from = normal.Length;
            normal.Append(Normalize(text[start..end]));
            moved.Add(new TextRange(from, normal.Length));
            done = end;
        }

        normal.Append(Normalize(text[done..]));
        return normal.ToString();
    }

    // Whether what stands before this place has nothing to do with the form of what comes.
    private static bool BeginsAnew(string text, int index)
    {
        if (index == 0 || index == text.Length) return true;
        return Rune.TryGetRuneAt(text, index, out Rune rune)
            && (rune.Value < 0x300 || (CanonicalTables.Instance.IsInert(rune.Value) && !IsJamo(rune.Value)));
    }

    private static bool IsInert(ReadOnlySpan<char> text)
    {
        foreach (Rune rune in text.EnumerateRunes())
            if (rune.Value >= 0x300 && (!CanonicalTables.Instance.IsInert(rune.Value) || IsJamo(rune.Value))) return false;

        return true;
    }

    private static bool IsJamo(int code) => code is >= 0x1100 and <= 0x11FF;

    // A character in work: combining class above bit 32, code point below.
    private static void Decompose(int code, List<long> output)
    {
        CanonicalTables tables = CanonicalTables.Instance;
        int syllable = code - Syllable;
        if (syllable is >= 0 and < Syllables)
        {
            output.Add(Leading + (syllable / (Vowels * Trailings)));
            output.Add(Vowel + (syllable / Trailings % Vowels));
            if (syllable % Trailings != 0) output.Add(Trailing + (syllable % Trailings));
        }
        else if (tables.IsInert(code))
        {
            output.Add(code);
        }
        else
        {
            foreach (int part in tables.Decomposition(code) ?? [code])
                output.Add(((long)tables.CombiningClass(part) << 32) | (uint)part);
        }
    }

    // Canonical order: within each run of combining characters a stable sort by class, however long the run.
    private static void Order(Span<long> characters)
    {
        for (int start = 0; start < characters.Length; start++)
        {
            int end = start;
            bool ordered = true;
            for (; end < characters.Length && Class(characters[end]) != 0; end++)
                ordered &= end == start || Class(characters[end]) >= Class(characters[end - 1]);
            if (!ordered) SortByClass(characters[start..end]);
            start = end;
        }
    }

    private static void SortByClass(Span<long> run)
    {
        // Class, then place, then code point: 8 + 31 + 21 bits make the sort stable.
        for (int i = 0; i < run.Length; i++)
            run[i] = ((long)Class(run[i]) << 52) | ((long)i << 21) | (uint)Code(run[i]);
        run.Sort();
        for (int i = 0; i < run.Length; i++)
            run[i] = ((run[i] >> 52) << 32) | (run[i] & 0x1FFFFF);
    }

    // Composes in place and returns how many characters are left.
    private static int Compose(Span<long> characters)
    {
        int count = 0;
        int starter = -1;
        int lastClass = -1; // of what stands between the starter and here; -1: nothing does
        foreach (long character in characters)
        {
            int combiningClass = Class(character);
            if (starter >= 0 && lastClass < combiningClass && TryCompose(Code(characters[starter]), Code(character), out int composed))
            {
                characters[starter] = composed;
                continue;
            }

            if (combiningClass == 0) starter = count;
            lastClass = combiningClass == 0 ? -1 : combiningClass;
            characters[count++] = character;
        }

        return count;
    }

    private static bool TryCompose(int first, int second, out int composed)
    {
        if (first is >= Leading and < Leading + Leadings && second is >= Vowel and < Vowel + Vowels)
        {
            composed = Syllable + ((((first - Leading) * Vowels) + (second - Vowel)) * Trailings);
            return true;
        }

        int syllable = first - Syllable;
        if (syllable is >= 0 and < Syllables && syllable % Trailings == 0 && second is > Trailing and < Trailing + Trailings)
        {
            composed = first + (second - Trailing);
            return true;
        }

        return CanonicalTables.Instance.TryCompose(first, second, out composed);
    }

    private static string ToText(ReadOnlySpan<long> characters)
    {
        StringBuilder text = new(characters.Length + 16);
        Span<char> units = stackalloc char[2];
        foreach (long character in characters)
            text.Append(units[..new Rune(Code(character)).EncodeToUtf16(units)]);
        return text.ToString();
    }

    private static int Class(long character) => (int)(character >> 32);

    private static int Code(long character) => (int)character;
}
