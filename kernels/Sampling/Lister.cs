using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>Which tokens go into the list around a cut: those of its bucket, and for a top-k those of the buckets before it too.</summary>
internal readonly struct Lister(SampleTask work, float best, int bucket)
{
    private readonly float threshold = work.Scores.Threshold(best);
    private readonly bool all = work.Scores.Parameters.DrawsFromTopK;

    public int Count(float score) => Lists(score) ? 1 : 0;

    /// <summary>Writes a token where there is room; returns the place of the next.</summary>
    public int Put(ArrayView<ulong> list, int place, float score, int id)
    {
        if (!Lists(score))
            return place;
        if (place < RankedList.Capacity)
            list[place] = RankedToken.Of(score, id);
        return place + 1;
    }

    /// <summary>The mass of a token that lies before what is listed.</summary>
    public long MassBefore(float score) =>
        !all && score >= threshold && RankBuckets.Of(best, score) < bucket ? work.Mass(score, best) : 0;

    private bool Lists(float score)
    {
        if (!(score >= threshold))
            return false;
        int place = RankBuckets.Of(best, score);
        return place == bucket || (all && place < bucket);
    }
}
