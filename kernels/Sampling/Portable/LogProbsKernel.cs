using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Log-probabilities of the drawn token and of the most probable ones, logit − log Σ exp(logits), from what <see cref="LogitMassKernel"/>
/// left. Items: rows. logits: [R, V] float; rowSlot, ids: [R].
/// </summary>
internal readonly struct LogProbsKernel(
    Matrix<float> logits, ArrayView<int> rowSlot, SamplingSlots slots, SamplingScratch scratch, ArrayView<int> ids, LogProbs logProbs)
    : IPortableKernel
{
    public int Items => logits.Rows;

    public static void LogProbs(Index1D thread, int threads, LogProbsKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int row)
    {
        SlotParameters parameters = slots.Parameters[rowSlot[row]];
        logProbs.Drawn[row] = float.NaN;
        if (!parameters.Has(SlotParameters.HasLogProbs))
            return;

        double logSum = LogSumExp(scratch.LogitMax.Row(row), scratch.LogitMass.Row(row));
        if (ids[row] >= 0)
            logProbs.Drawn[row] = (float)(logits[row, ids[row]] - logSum);

        int first = row * VocabularyBlocks.Count;
        ArrayView<ulong> heap = scratch.LogitBest.Row(first);
        int count = scratch.LogitBestCounts[row, 0];
        for (int block = 1; block < VocabularyBlocks.Count; block++)
        {
            ArrayView<ulong> candidates = scratch.LogitBest.Row(first + block);
            for (int i = 0; i < scratch.LogitBestCounts[row, block]; i++)
                count = RankHeap.Offer(heap, count, parameters.TopLogProbs, candidates[i]);
        }

        RankHeap.Sort(heap, count);
        for (int i = 0; i < parameters.TopLogProbs; i++)
        {
            logProbs.TopIds[row, i] = i < count ? RankedToken.Id(heap[i]) : DrawnId.Nothing;
            logProbs.Top[row, i] = i < count ? (float)(RankedToken.Score(heap[i]) - logSum) : float.NegativeInfinity;
        }
    }

    private static double LogSumExp(ArrayView<float> maxima, ArrayView<double> masses)
    {
        float max = float.NegativeInfinity;
        for (int block = 0; block < VocabularyBlocks.Count; block++)
            max = maxima[block] > max ? maxima[block] : max;

        double sum = 0;
        for (int block = 0; block < VocabularyBlocks.Count; block++)
        {
            if (maxima[block] > float.NegativeInfinity)
                sum += masses[block] * XMath.Exp(maxima[block] - max);
        }

        return max + XMath.Log((float)sum);
    }
}
