namespace QwenIlgpu.Kernels;

/// <summary>Whole rows; those that top-p cuts without top-k go through their scores sixteen at a time, the others as the plain loop does.</summary>
internal readonly partial struct SampleKernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Items, thread, threads);
        for (int row = part.From; row < part.To; row++)
        {
            int slot = rowSlot[row];
            ulong first = ArgMaxKernel.Best(scratch.BlockBest.Row(row));
            if (slot != 0 && DrawsFromNucleus(slots.Parameters[slot], first))
                ShareNucleus(row, slot, first);
            else
                Execute(row);
        }
    }

    private static bool DrawsFromNucleus(SlotParameters parameters, ulong first) =>
        parameters.Temperature > 0 && parameters.TopK == 0 && parameters.TopP < 1
        && first != RankedToken.None && first != RankedToken.NonFinite && RankedToken.Score(first) < float.PositiveInfinity;

    private void ShareNucleus(int row, int slot, ulong first)
    {
        RowScores scores = RowScores.Of(slots, slot, logits.Row(row));
        SlotParameters parameters = scores.Parameters;
        double uniform = Philox.Uniform(parameters.SeedLow, parameters.SeedHigh, slots.DrawIndex[slot]);
        var vocabulary = new NucleusBlock(ScoreBlock.Of(scores, 0, vocabularySize, out _), parameters, RankedToken.Score(first));
        Nucleus nucleus = vocabulary.Find(
            scores.Threshold(RankedToken.Score(first)), scratch.Candidates.Row(row * VocabularyBlocks.Count));
        int id = vocabulary.Draw(nucleus, uniform);
        scratch.Cutoff[row] = nucleus.Cutoff;
        ids[row] = id;
        slots.DrawIndex[slot]++;
        if (id >= 0 && parameters.Has(SlotParameters.HasPenalties))
            slots.Seen[slot, id]++;
    }
}
