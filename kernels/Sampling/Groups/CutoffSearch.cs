using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The last token that a cut keeps, where the bucket of the cut holds more tokens than fit a list: one group goes through the row five
/// times, each time with a histogram of the next 11 or 10 bits of the ranking: 32 of the score's order, then 19 of the id.
/// </summary>
internal static class CutoffSearch
{
    private const int IdBits = 19;
    private const int Passes = 5;

    /// <summary>Finds no token unless the list overflows. All threads of a group come here.</summary>
    public static ulong Find(
        SampleTask work, int vocabularySize, float best, RankCut cut, bool overflows, ArrayView<long> histogram,
        ArrayView<long> scan)
    {
        RowScores scores = work.Scores;
        bool counts = scores.Parameters.DrawsFromTopK;
        float threshold = scores.Threshold(best);
        ArrayView<int> words = histogram.Cast<int>();
        long before = cut.Before;
        long target = overflows ? cut.Target : long.MaxValue;           // one thread finds something either way
        ulong prefix = 0;
        int end = overflows ? vocabularySize : 0;
        int pass = 0;
        do
        {
            int bits = pass == 0 ? 11 : 10;
            int shift = (Passes - 1 - pass) * 10;
            uint last = (1u << bits) - 1;
            RankBuckets.Clear(histogram);               // the search before has passed a barrier since it read
            for (int id = Group.IdxX; id < end; id += GroupScan.Threads)
            {
                float score = scores.At(id);
                if (score >= threshold && RankBuckets.Of(best, score) == cut.Bucket)
                {
                    ulong key = Key(score, id) >> shift;
                    if (key >> bits == prefix)
                        RankBuckets.Add(words, (int)(last - ((uint)key & last)), counts ? 1 : work.Mass(score, best));
                }
            }

            long own = RankBuckets.OwnWeight(histogram);
            RankCut digit = RankBuckets.Find(histogram, scan, own, before + GroupScan.Sum(scan, own), target);
            before = digit.Before;
            prefix = (prefix << bits) | (last - (uint)digit.Bucket);
            pass++;
        }
        while (overflows && pass < Passes);

        int lastId = (SampleTask.MostTokens - 1) - (int)(prefix & (SampleTask.MostTokens - 1));
        return overflows ? (prefix >> IdBits << 32) | ~(uint)lastId : RankedToken.None;
    }

    // 51 bits that rank as RankedToken does.
    private static ulong Key(float score, int id) =>
        ((ulong)RankedToken.Order(score) << IdBits) | (uint)(SampleTask.MostTokens - 1 - id);
}
