using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Eight scores that a thread holds at once, so that their loads are in flight together: ids first + j · 256. Those behind the vocabulary
/// are −∞; <see cref="HoldsNonFinite"/> tells of the logits themselves.
/// </summary>
internal struct ScoreOctet
{
    public float S0;
    public float S1;
    public float S2;
    public float S3;
    public float S4;
    public float S5;
    public float S6;
    public float S7;

    private uint largestExponent;

    /// <summary>One of the eight logits, before bias, penalties and mask, is NaN or infinite.</summary>
    public readonly bool HoldsNonFinite => largestExponent == RowScores.ExponentBits;

    public static ScoreOctet Load(RowScores scores, int first, int vocabularySize)
    {
        const int Distance = GroupScan.Threads;
        int end = vocabularySize;
        int last = end - 1;                             // loaded in place of those behind it
        int id0 = Before(first, last);
        int id1 = Before(first + Distance, last);
        int id2 = Before(first + (2 * Distance), last);
        int id3 = Before(first + (3 * Distance), last);
        int id4 = Before(first + (4 * Distance), last);
        int id5 = Before(first + (5 * Distance), last);
        int id6 = Before(first + (6 * Distance), last);
        int id7 = Before(first + (7 * Distance), last);
        ScoreOctet s;
        s.S0 = scores.Logit(id0);
        s.S1 = scores.Logit(id1);
        s.S2 = scores.Logit(id2);
        s.S3 = scores.Logit(id3);
        s.S4 = scores.Logit(id4);
        s.S5 = scores.Logit(id5);
        s.S6 = scores.Logit(id6);
        s.S7 = scores.Logit(id7);
        s.largestExponent = Larger(
            Larger(Larger(RowScores.Exponent(s.S0), RowScores.Exponent(s.S1)), Larger(RowScores.Exponent(s.S2), RowScores.Exponent(s.S3))),
            Larger(Larger(RowScores.Exponent(s.S4), RowScores.Exponent(s.S5)), Larger(RowScores.Exponent(s.S6), RowScores.Exponent(s.S7))));
        if (scores.Parameters.Has(SlotParameters.HasBias))
        {
            s.S0 = scores.Biased(id0, s.S0);
            s.S1 = scores.Biased(id1, s.S1);
            s.S2 = scores.Biased(id2, s.S2);
            s.S3 = scores.Biased(id3, s.S3);
            s.S4 = scores.Biased(id4, s.S4);
            s.S5 = scores.Biased(id5, s.S5);
            s.S6 = scores.Biased(id6, s.S6);
            s.S7 = scores.Biased(id7, s.S7);
        }

        if (scores.Parameters.Has(SlotParameters.HasPenalties))
        {
            int seen0 = scores.Occurrences(id0);
            int seen1 = scores.Occurrences(id1);
            int seen2 = scores.Occurrences(id2);
            int seen3 = scores.Occurrences(id3);
            int seen4 = scores.Occurrences(id4);
            int seen5 = scores.Occurrences(id5);
            int seen6 = scores.Occurrences(id6);
            int seen7 = scores.Occurrences(id7);
            s.S0 = scores.Penalised(s.S0, seen0);
            s.S1 = scores.Penalised(s.S1, seen1);
            s.S2 = scores.Penalised(s.S2, seen2);
            s.S3 = scores.Penalised(s.S3, seen3);
            s.S4 = scores.Penalised(s.S4, seen4);
            s.S5 = scores.Penalised(s.S5, seen5);
            s.S6 = scores.Penalised(s.S6, seen6);
            s.S7 = scores.Penalised(s.S7, seen7);
        }

        if (scores.Parameters.Has(SlotParameters.HasMask))
        {
            s.S0 = scores.Masked(id0, s.S0);
            s.S1 = scores.Masked(id1, s.S1);
            s.S2 = scores.Masked(id2, s.S2);
            s.S3 = scores.Masked(id3, s.S3);
            s.S4 = scores.Masked(id4, s.S4);
            s.S5 = scores.Masked(id5, s.S5);
            s.S6 = scores.Masked(id6, s.S6);
            s.S7 = scores.Masked(id7, s.S7);
        }

        s.S0 = first < end ? s.S0 : float.NegativeInfinity;
        s.S1 = first + Distance < end ? s.S1 : float.NegativeInfinity;
        s.S2 = first + (2 * Distance) < end ? s.S2 : float.NegativeInfinity;
        s.S3 = first + (3 * Distance) < end ? s.S3 : float.NegativeInfinity;
        s.S4 = first + (4 * Distance) < end ? s.S4 : float.NegativeInfinity;
        s.S5 = first + (5 * Distance) < end ? s.S5 : float.NegativeInfinity;
        s.S6 = first + (6 * Distance) < end ? s.S6 : float.NegativeInfinity;
        s.S7 = first + (7 * Distance) < end ? s.S7 : float.NegativeInfinity;
        return s;
    }

    private static uint Larger(uint a, uint b) => a > b ? a : b;

    private static int Before(int id, int last) => id < last ? id : last;
}
