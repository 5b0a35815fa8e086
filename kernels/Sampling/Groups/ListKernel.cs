using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Finds in the histogram where a row's ranking is cut, by count or by mass, and lists the tokens in the bucket of the cut: with those before
/// it for a top-k; for top-p alone the mass before it is summed by section. A group of 256 threads is a section of a task.
/// logits: [R, V] float; rowSlot: [R].
/// </summary>
[LaunchBounds(GroupScan.Threads)]
internal readonly struct ListKernel(
    Matrix<float> logits, int vocabularySize, ArrayView<int> rowSlot, SamplingSlots slots, SectionScratch scratch) : IGroupKernel
{
    public static void List(ListKernel kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<long> scan = SharedMemory.Allocate<long>(GroupScan.Words);
        ArrayView<long> weights = SharedMemory.Allocate<long>(RankBuckets.Count);
        int section = Grid.IdxX;
        int task = Grid.IdxY;
        var work = new SampleTask(logits, rowSlot, slots, task);
        if (!work.IsWanted || !work.CutsRanking)
            return;
        ulong first = scratch.First[task];
        if (!work.Weighs(first))
            return;

        float best = RankedToken.Score(first);
        RankCut cut = FindCut(work, task, weights, scan);
        if (section == 0 && Group.IdxX == 0)
            scratch.Cut[task] = cut;

        int id = (section * VocabularySections.Length) + Group.IdxX;
        ScoreOctet scores = ScoreOctet.Load(work.Scores, id, vocabularySize);
        var lister = new Lister(work, best, cut.Bucket);
        int count = lister.Count(scores.S0) + lister.Count(scores.S1) + lister.Count(scores.S2) + lister.Count(scores.S3)
            + lister.Count(scores.S4) + lister.Count(scores.S5) + lister.Count(scores.S6) + lister.Count(scores.S7);
        int place = (int)GroupScan.Sum(scan, count);
        bool takesPlaces = Group.IdxX == GroupScan.Threads - 1;
        int start = 0;
        if (takesPlaces && place > 0)
            start = DeviceScope.FetchAdd(ref scratch.ListedCount[task], place);
        place += (int)GroupScan.Only(scan, takesPlaces, start, 0).First - count;
        if (count > 0)
        {
            ArrayView<ulong> list = scratch.Listed.Row(task);
            place = lister.Put(list, place, scores.S0, id);
            place = lister.Put(list, place, scores.S1, id + GroupScan.Threads);
            place = lister.Put(list, place, scores.S2, id + (2 * GroupScan.Threads));
            place = lister.Put(list, place, scores.S3, id + (3 * GroupScan.Threads));
            place = lister.Put(list, place, scores.S4, id + (4 * GroupScan.Threads));
            place = lister.Put(list, place, scores.S5, id + (5 * GroupScan.Threads));
            place = lister.Put(list, place, scores.S6, id + (6 * GroupScan.Threads));
            lister.Put(list, place, scores.S7, id + (7 * GroupScan.Threads));
        }

        long before = GroupScan.Total(
            scan,
            lister.MassBefore(scores.S0) + lister.MassBefore(scores.S1) + lister.MassBefore(scores.S2) + lister.MassBefore(scores.S3)
            + lister.MassBefore(scores.S4) + lister.MassBefore(scores.S5) + lister.MassBefore(scores.S6) + lister.MassBefore(scores.S7));
        if (!work.Scores.Parameters.DrawsFromTopK && Group.IdxX == 0)
            scratch.Mass[task, section] = before;
    }

    private RankCut FindCut(SampleTask work, int task, ArrayView<long> weights, ArrayView<long> scan)
    {
        for (int bucket = Group.IdxX; bucket < RankBuckets.Count; bucket += GroupScan.Threads)
            weights[bucket] = scratch.Weights[task, bucket];
        SlotParameters parameters = work.Scores.Parameters;
        long own = RankBuckets.OwnWeight(weights);
        long until = GroupScan.Sum(scan, own);
        long target = parameters.DrawsFromTopK ? parameters.TopK : RankBuckets.ShareOf(GroupScan.Total(scan), parameters.TopP);
        return RankBuckets.Find(weights, scan, own, until, target);
    }
}

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
