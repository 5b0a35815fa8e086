namespace QwenIlgpu.Kernels;

/// <summary>Sixteen exponentials at a time, each block's sum in an order of its own.</summary>
internal readonly partial struct SumMassKernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Items, thread, threads);
        int length = VocabularyBlocks.Length(vocabularySize);
        for (int item = part.From; item < part.To; item++)
        {
            int row = item / VocabularyBlocks.Count;
            int block = item % VocabularyBlocks.Count;
            int slot = rowSlot[row];
            if (!slots.Parameters[slot].DrawsFromAll)
                continue;

            RowScores whole = RowScores.Of(slots, slot, logits.Row(row));
            float best = RankedToken.Score(ArgMaxKernel.Best(scratch.BlockBest.Row(row)));
            ScoreBlock scores = ScoreBlock.Of(whole, block * length, Math.Min((block + 1) * length, vocabularySize), out _);
            scratch.BlockMass[row, block] = scores.Mass(best, whole.Threshold(best), whole.Parameters.Temperature);
        }
    }
}
