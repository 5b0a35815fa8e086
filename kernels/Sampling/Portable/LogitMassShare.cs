using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>Sixteen logits at a time. A thread's blocks of a row share one list, that of the first of them.</summary>
internal readonly partial struct LogitMassKernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Items, thread, threads);
        int length = VocabularyBlocks.Length(vocabularySize);
        int listItem = part.From;
        for (int item = part.From; item < part.To; item++)
        {
            int row = item / VocabularyBlocks.Count;
            int block = item % VocabularyBlocks.Count;
            SlotParameters parameters = slots.Parameters[rowSlot[row]];
            if (!parameters.Has(SlotParameters.HasLogProbs))
                continue;

            if (block == 0)
                listItem = item;
            ScoreBlock values = ScoreBlock.Of(
                RowScores.OfModel(logits.Row(row)), block * length, Math.Min((block + 1) * length, vocabularySize), out _);
            int listBlock = listItem % VocabularyBlocks.Count;
            int count = listItem == item ? 0 : scratch.LogitBestCounts[row, listBlock];
            if (parameters.TopLogProbs > 0)
                count = values.AddTo(scratch.LogitBest.Row(listItem), count, parameters.TopLogProbs);
            scratch.LogitBestCounts[row, block] = 0;
            scratch.LogitBestCounts[row, listBlock] = count;
            float max = values.Max();
            scratch.LogitMax[row, block] = max;
            scratch.LogitMass[row, block] = max == float.NegativeInfinity ? 0 : values.Mass(max, float.MinValue, 1);
        }
    }
}
