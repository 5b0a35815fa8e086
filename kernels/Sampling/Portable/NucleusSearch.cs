using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The last token that top-p keeps of a whole vocabulary, without sorting it: three passes over histograms of probability mass find the
/// score (11, 11 and 10 bits of its order), and a walk over the tokens of just that score finds the id.
/// </summary>
internal static class NucleusSearch
{
    /// <summary>
    /// A token is kept if the mass that ranks before it is less than top-p of the mass that min-p left. histogram: [Buckets].
    /// </summary>
    public static Nucleus Find(RowScores scores, int vocabularySize, float best, ArrayView<double> histogram)
    {
        float threshold = scores.Threshold(best);
        double target = 0;
        double before = 0;
        uint order = 0;
        for (int pass = 0; pass < 3; pass++)
        {
            int bits = pass == 2 ? 10 : 11;
            int shift = pass == 0 ? 21 : pass == 1 ? 10 : 0;
            int last = (1 << bits) - 1;
            for (int b = 0; b <= last; b++)
                histogram[b] = 0;
            for (int id = 0; id < vocabularySize; id++)
            {
                float score = scores.At(id);
                if (score >= threshold)
                {
                    uint key = RankedToken.Order(score) >> shift;
                    if (pass == 0 || key >> bits == order)
                        histogram[(int)(key & (uint)last)] += scores.Mass(score, best);
                }
            }

            if (pass == 0)
            {
                double total = 0;
                for (int b = 0; b <= last; b++)
                    total += histogram[b];
                target = scores.Parameters.TopP * total;
            }

            int bucket = last;
            while (bucket > 0 && before + histogram[bucket] < target)
            {
                before += histogram[bucket];
                bucket--;
            }

            order = (order << bits) | (uint)bucket;
        }

        ulong cutoff = (ulong)order << 32;              // should rounding have left no such token: all that rank before it
        bool reached = false;
        for (int id = 0; id < vocabularySize && !reached; id++)
        {
            float score = scores.At(id);
            if (score >= threshold && RankedToken.Order(score) == order)
            {
                cutoff = RankedToken.Of(score, id);
                before += scores.Mass(score, best);
                reached = before >= target;
            }
        }

        return new Nucleus(cutoff, before);
    }
}

/// <summary>What top-p keeps: every token that ranks at the cutoff or before it, and the sum of their masses.</summary>
internal readonly struct Nucleus(ulong cutoff, double mass)
{
    public readonly ulong Cutoff = cutoff;
    public readonly double Mass = mass;
}
