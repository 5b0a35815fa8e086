namespace QwenIlgpu.Kernels;

/// <summary>A row in blocks of its vocabulary: the greatest logit of all of them, then their sums one after the other.</summary>
internal readonly partial struct TargetLogProbsKernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Items, thread, threads);
        for (int row = part.From; row < part.To; row++)
        {
            RowScores values = RowScores.OfModel(logits.Row(row));
            int length = VocabularyBlocks.Length(vocabularySize);
            float max = float.NegativeInfinity;
            bool isFinite = true;
            for (int from = 0; from < vocabularySize; from += length)
            {
                max = Math.Max(max, ScoreBlock.Of(values, from, Math.Min(from + length, vocabularySize), out bool blockIsFinite).Max());
                isFinite &= blockIsFinite;
            }

            double sum = isFinite ? 0 : double.NaN;
            for (int from = 0; isFinite && from < vocabularySize; from += length)
                sum += ScoreBlock.Of(values, from, Math.Min(from + length, vocabularySize), out _).Mass(max, float.MinValue, 1);
            logProbs[row] = Kernels.TargetLogProbs.Of(values.Logit(targets[row]), max, (float)sum);
        }
    }
}
