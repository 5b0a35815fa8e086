using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Probability mass, relative to the row's best token, of each block of the vocabulary, for rows that draw from all that min-p keeps.
/// Items: (row, block). logits: [R, V] float; rowSlot: [R].
/// </summary>
internal readonly partial struct SumMassKernel(
    Matrix<float> logits, int vocabularySize, ArrayView<int> rowSlot, SamplingSlots slots, SamplingScratch scratch) : IPortableKernel
{
    public int Items => logits.Rows * VocabularyBlocks.Count;

    public static void SumMass(Index1D thread, int threads, SumMassKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int row = (int)((uint)item / VocabularyBlocks.Count);
        int block = item & (VocabularyBlocks.Count - 1);
        int slot = rowSlot[row];
        if (!slots.Parameters[slot].DrawsFromAll)
            return;

        int length = VocabularyBlocks.Length(vocabularySize);
        int from = block * length;
        int to = XMath.Min(from + length, vocabularySize);
        RowScores scores = RowScores.Of(slots, slot, logits.Row(row));
        float best = RankedToken.Score(ArgMaxKernel.Best(scratch.BlockBest.Row(row)));
        float threshold = scores.Threshold(best);
        double mass = 0;
        for (int id = from; id < to; id++)
        {
            float score = scores.At(id);
            if (score >= threshold)
                mass += scores.Mass(score, best);
        }

        scratch.BlockMass[row, block] = mass;
    }
}
