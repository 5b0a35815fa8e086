using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// First in rank of each section of the vocabulary, and an empty histogram and list for the launches that follow. A group of 256 threads
/// is a section of a task. logits: [R, V] float; rowSlot: [R].
/// </summary>
[LaunchBounds(GroupScan.Threads)]
internal readonly struct FindBestKernel(
    Matrix<float> logits, int vocabularySize, ArrayView<int> rowSlot, SamplingSlots slots, SectionScratch scratch) : IGroupKernel
{
    public static void FindBest(FindBestKernel kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<long> scan = SharedMemory.Allocate<long>(GroupScan.Words);
        int section = Grid.IdxX;
        int task = Grid.IdxY;
        var work = new SampleTask(logits, rowSlot, slots, task);
        if (!work.IsWanted)
            return;

        if (section == 0)
            Empty(work, task);
        int id = (section * VocabularySections.Length) + Group.IdxX;
        ScoreOctet scores = ScoreOctet.Load(work.Scores, id, vocabularySize);
        float best = float.NegativeInfinity;
        int bestId = -1;
        Consider(ref best, ref bestId, scores.S0, id);
        Consider(ref best, ref bestId, scores.S1, id + GroupScan.Threads);
        Consider(ref best, ref bestId, scores.S2, id + (2 * GroupScan.Threads));
        Consider(ref best, ref bestId, scores.S3, id + (3 * GroupScan.Threads));
        Consider(ref best, ref bestId, scores.S4, id + (4 * GroupScan.Threads));
        Consider(ref best, ref bestId, scores.S5, id + (5 * GroupScan.Threads));
        Consider(ref best, ref bestId, scores.S6, id + (6 * GroupScan.Threads));
        Consider(ref best, ref bestId, scores.S7, id + (7 * GroupScan.Threads));
        ulong own = bestId < 0 ? RankedToken.None : RankedToken.Of(best, bestId);
        ulong first = GroupScan.Max(scan, scores.HoldsNonFinite ? RankedToken.NonFinite : own);
        if (Group.IdxX == 0)
            scratch.SectionFirst[task, section] = first;
    }

    // Of equals the earlier, whose id is the lower.
    private static void Consider(ref float best, ref int bestId, float score, int id)
    {
        bool better = score > best;
        best = better ? score : best;
        bestId = better ? id : bestId;
    }

    private void Empty(SampleTask work, int task)
    {
        if (Group.IdxX == 0)
            scratch.ListedCount[task] = 0;
        if (work.CutsRanking)
        {
            for (int bucket = Group.IdxX; bucket < RankBuckets.Count; bucket += GroupScan.Threads)
                scratch.Weights[task, bucket] = 0;
        }
    }
}
