using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Masses relative to the row's best token: of each section for rows that draw from all that min-p keeps, of each of
/// <see cref="RankBuckets"/> for top-p alone; for top-k how many tokens each bucket holds. A group of 256 threads is a section of a task.
/// logits: [R, V] float; rowSlot: [R].
/// </summary>
[LaunchBounds(GroupScan.Threads)]
internal readonly struct WeighSectionsKernel(
    Matrix<float> logits, int vocabularySize, ArrayView<int> rowSlot, SamplingSlots slots, SectionScratch scratch) : IGroupKernel
{
    public static void WeighSections(WeighSectionsKernel kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<long> scan = SharedMemory.Allocate<long>(GroupScan.Words);
        ArrayView<long> weights = SharedMemory.Allocate<long>(RankBuckets.Count);
        int section = Grid.IdxX;
        int task = Grid.IdxY;
        var work = new SampleTask(logits, rowSlot, slots, task);
        if (!work.IsWanted || (section != 0 && !(work.Scores.Parameters.Temperature > 0)))
            return;
        ulong first = GroupScan.Max(
            scan, Group.IdxX < VocabularySections.Count(vocabularySize) ? scratch.SectionFirst[task, Group.IdxX] : RankedToken.None);
        if (section == 0 && Group.IdxX == 0)
            scratch.First[task] = first;
        if (!work.Weighs(first))
            return;

        var weigher = new Weigher(work, RankedToken.Score(first));
        ArrayView<int> words = weights.Cast<int>();
        RankBuckets.Clear(weights);
        ScoreOctet scores = ScoreOctet.Load(work.Scores, (section * VocabularySections.Length) + Group.IdxX, vocabularySize);
        long mass = weigher.Weigh(scores.S0, words);
        mass += weigher.Weigh(scores.S1, words);
        mass += weigher.Weigh(scores.S2, words);
        mass += weigher.Weigh(scores.S3, words);
        mass += weigher.Weigh(scores.S4, words);
        mass += weigher.Weigh(scores.S5, words);
        mass += weigher.Weigh(scores.S6, words);
        mass += weigher.Weigh(scores.S7, words);
        long whole = GroupScan.Total(scan, mass);
        if (work.NeedsSectionMass && Group.IdxX == 0)
            scratch.Mass[task, section] = whole;
        if (work.CutsRanking)
        {
            for (int bucket = Group.IdxX; bucket < RankBuckets.Count; bucket += GroupScan.Threads)
            {
                if (weights[bucket] != 0)
                    DeviceScope.Add(ref scratch.Weights[task, bucket], weights[bucket]);
            }
        }
    }

    /// <summary>What a token adds to its bucket, and its mass.</summary>
    private readonly struct Weigher(SampleTask work, float best)
    {
        private readonly float threshold = work.Scores.Threshold(best);
        private readonly bool counts = work.Scores.Parameters.DrawsFromTopK;
        private readonly bool weighs = work.NeedsSectionMass || !work.Scores.Parameters.DrawsFromTopK;
        private readonly bool cuts = work.CutsRanking;

        public long Weigh(float score, ArrayView<int> words)
        {
            if (!(score >= threshold))
                return 0;
            long mass = weighs ? work.Mass(score, best) : 0;
            long weight = counts ? 1 : mass;
            if (cuts && weight != 0)
                RankBuckets.Add(words, RankBuckets.Of(best, score), weight);
            return mass;
        }
    }
}
