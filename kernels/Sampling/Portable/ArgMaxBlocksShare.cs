namespace QwenIlgpu.Kernels;

/// <summary>Sixteen logits at a time: the greatest, then where it is.</summary>
internal readonly partial struct ArgMaxBlocksKernel : ICpuShare
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
            best[row, block] = ScoreBlock.Of(
                RowScores.OfModel(logits.Row(row)), block * length, Math.Min((block + 1) * length, vocabularySize), out _).Best();
        }
    }
}
