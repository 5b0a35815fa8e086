using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Greatest logit of each block of the vocabulary, lowest id of equals. Items: (row, block). logits: [R, V] float; best: [R, Blocks].
/// </summary>
internal readonly partial struct ArgMaxBlocksKernel(Matrix<float> logits, int vocabularySize, Matrix<ulong> best) : IPortableKernel
{
    public int Items => logits.Rows * VocabularyBlocks.Count;

    public static void ArgMaxBlocks(Index1D thread, int threads, ArgMaxBlocksKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public static ulong Best(ArrayView<float> logits, int from, int to)
    {
        float best = float.NegativeInfinity;
        int bestId = -1;
        for (int id = from; id < to; id++)
        {
            float logit = logits[id];
            if (logit > best)
            {
                best = logit;
                bestId = id;
            }
        }

        return bestId < 0 ? RankedToken.None : RankedToken.Of(best, bestId);
    }

    public void Execute(int item)
    {
        int row = (int)((uint)item / VocabularyBlocks.Count);
        int block = item & (VocabularyBlocks.Count - 1);
        int length = VocabularyBlocks.Length(vocabularySize);
        best[row, block] = Best(logits.Row(row), block * length, XMath.Min((block + 1) * length, vocabularySize));
    }
}
