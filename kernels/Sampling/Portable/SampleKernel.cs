using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Cuts each row's ranking and draws from what is left; advances the slot's draw index and counts the token. Whatever is kept is the
/// beginning of the ranking, so that its last token names it; the draw walks it in ascending ids. Items: rows.
/// </summary>
internal readonly partial struct SampleKernel(
    Matrix<float> logits, int vocabularySize, ArrayView<int> rowSlot, SamplingSlots slots, SamplingScratch scratch, ArrayView<int> ids)
    : IPortableKernel
{
    public int Items => logits.Rows;

    public static void Sample(Index1D thread, int threads, SampleKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int row)
    {
        int slot = rowSlot[row];
        RowScores scores = RowScores.Of(slots, slot, logits.Row(row));
        SlotParameters parameters = scores.Parameters;
        double uniform = Philox.Uniform(parameters.SeedLow, parameters.SeedHigh, slots.DrawIndex[slot]);
        ulong first = ArgMaxKernel.Best(scratch.BlockBest.Row(row));
        int id = DrawnId.NonFinite;
        scratch.Cutoff[row] = first;
        if (first != RankedToken.NonFinite)
            id = parameters.DrawsFromTopK ? DrawFromTopK(row, scores, uniform) : DrawFromVocabulary(row, scores, uniform, first);
        ids[row] = id;
        if (slot != 0)
        {
            slots.DrawIndex[slot]++;
            if (id >= 0 && parameters.Has(SlotParameters.HasPenalties))
                slots.Seen[slot, id]++;
        }
    }

    private int DrawFromTopK(int row, RowScores scores, double uniform)
    {
        ArrayView<ulong> ranking = scratch.Candidates.Row(row * VocabularyBlocks.Count);
        int count = MergeCandidates(row, scores.Parameters.TopK, ranking);
        scratch.Cutoff[row] = RankedToken.None;
        if (count == 0)
            return DrawnId.Nothing;

        float best = RankedToken.Score(ranking[0]);
        scratch.Cutoff[row] = ranking[0];
        if (best == float.PositiveInfinity)
            return RankedToken.Id(ranking[0]);

        float threshold = scores.Threshold(best);
        int kept = 0;
        double mass = 0;
        while (kept < count && RankedToken.Score(ranking[kept]) >= threshold)
            mass += scores.Mass(RankedToken.Score(ranking[kept++]), best);

        if (scores.Parameters.TopP < 1)
        {
            double target = scores.Parameters.TopP * mass;
            kept = 0;
            mass = 0;
            while (kept == 0 || mass < target)
                mass += scores.Mass(RankedToken.Score(ranking[kept++]), best);
        }

        scratch.Cutoff[row] = ranking[kept - 1];
        return DrawInOrderOfIds(scores, best, ranking, kept, uniform * mass);
    }

    /// <summary>Gathers every block's candidates in the first block's heap and sorts it.</summary>
    private int MergeCandidates(int row, int k, ArrayView<ulong> heap)
    {
        int count = scratch.CandidateCounts[row, 0];
        for (int block = 1; block < VocabularyBlocks.Count; block++)
        {
            ArrayView<ulong> candidates = scratch.Candidates.Row((row * VocabularyBlocks.Count) + block);
            int more = scratch.CandidateCounts[row, block];
            for (int i = 0; i < more; i++)
                count = RankHeap.Offer(heap, count, k, candidates[i]);
        }

        RankHeap.Sort(heap, count);
        return count;
    }

    private static int DrawInOrderOfIds(RowScores scores, float best, ArrayView<ulong> kept, int count, double target)
    {
        for (int i = 0; i < count; i++)                 // complement of the id above, order of the score below
            kept[i] = (kept[i] << 32) | (kept[i] >> 32);
        RankHeap.Build(kept, count);
        RankHeap.Sort(kept, count);

        double mass = 0;
        int drawn = DrawnId.Nothing;
        for (int i = 0; i < count && !(mass > target); i++)
        {
            ulong ranked = (kept[i] << 32) | (kept[i] >> 32);
            float part = scores.Mass(RankedToken.Score(ranked), best);
            mass += part;
            if (part > 0)
                drawn = RankedToken.Id(ranked);
        }

        return drawn;
    }

    private int DrawFromVocabulary(int row, RowScores scores, double uniform, ulong first)
    {
        if (first == RankedToken.None)
            return DrawnId.Nothing;

        float best = RankedToken.Score(first);
        if (!(scores.Parameters.Temperature > 0) || best == float.PositiveInfinity)
            return RankedToken.Id(first);

        return scores.Parameters.TopP < 1
            ? DrawFromNucleus(row, scores, best, uniform)
            : DrawFromAll(row, scores, best, uniform);
    }

    private int DrawFromNucleus(int row, RowScores scores, float best, double uniform)
    {
        Nucleus nucleus = NucleusSearch.Find(scores, vocabularySize, best, scratch.Histogram.Row(row));
        scratch.Cutoff[row] = nucleus.Cutoff;
        return Walk(scores, 0, 0, uniform * nucleus.Mass, best, nucleus.Cutoff);
    }

    private int DrawFromAll(int row, RowScores scores, float best, double uniform)
    {
        ArrayView<double> blocks = scratch.BlockMass.Row(row);
        double mass = 0;
        for (int block = 0; block < VocabularyBlocks.Count; block++)
            mass += blocks[block];

        ulong cutoff = RankedToken.Of(scores.Threshold(best), int.MaxValue);
        scratch.Cutoff[row] = cutoff;
        double target = uniform * mass;
        int start = 0;
        double before = 0;
        while (start < VocabularyBlocks.Count - 1 && !(before + blocks[start] > target))
            before += blocks[start++];
        return Walk(scores, start * VocabularyBlocks.Length(vocabularySize), before, target, best, cutoff);
    }

    /// <summary>The first id from <paramref name="id"/> on at which the mass of the kept tokens exceeds the target.</summary>
    private int Walk(RowScores scores, int id, double mass, double target, float best, ulong cutoff)
    {
        int drawn = DrawnId.Nothing;
        while (id < vocabularySize && !(mass > target))
        {
            float score = scores.At(id);
            if (score > float.NegativeInfinity && RankedToken.Of(score, id) >= cutoff)
            {
                float part = scores.Mass(score, best);
                mass += part;
                if (part > 0)
                    drawn = id;
            }

            id++;
        }

        return drawn;
    }
}
