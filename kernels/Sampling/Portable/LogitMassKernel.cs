using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Maximum, Σ exp(logit − maximum) and most probable tokens of each block of the vocabulary, for rows that want log-probabilities.
/// Items: (row, block). logits: [R, V] float; rowSlot: [R].
/// </summary>
internal readonly partial struct LogitMassKernel(
    Matrix<float> logits, int vocabularySize, ArrayView<int> rowSlot, SamplingSlots slots, SamplingScratch scratch) : IPortableKernel
{
    public int Items => logits.Rows * VocabularyBlocks.Count;

    public static void LogitMass(Index1D thread, int threads, LogitMassKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int row = (int)((uint)item / VocabularyBlocks.Count);
        int block = item & (VocabularyBlocks.Count - 1);
        SlotParameters parameters = slots.Parameters[rowSlot[row]];
        if (!parameters.Has(SlotParameters.HasLogProbs))
            return;

        int length = VocabularyBlocks.Length(vocabularySize);
        int from = block * length;
        int to = XMath.Min(from + length, vocabularySize);
        ArrayView<float> values = logits.Row(row);
        float max = float.NegativeInfinity;
        for (int id = from; id < to; id++)
            max = values[id] > max ? values[id] : max;

        ArrayView<ulong> heap = scratch.LogitBest.Row(item);
        int count = 0;
        double mass = 0;
        for (int id = from; id < to; id++)
        {
            float logit = values[id];
            if (logit > float.NegativeInfinity)
            {
                mass += XMath.Exp(logit - max);
                if (parameters.TopLogProbs > 0)
                    count = RankHeap.Offer(heap, count, parameters.TopLogProbs, RankedToken.Of(logit, id));
            }
        }

        scratch.LogitMax[row, block] = max;
        scratch.LogitMass[row, block] = mass;
        scratch.LogitBestCounts[row, block] = count;
    }
}
