using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>id of the greatest logit of each row, the lowest of equals; NaN and −∞ are never chosen.</summary>
internal static class ArgMax
{
    /// <summary>
    /// logits: [R, V] float; ids: [R], −1 where a row holds nothing but NaN and −∞. Ids from vocabularySize on are left out.
    /// </summary>
    public static Launch[] Bind(KernelLoader loader, Matrix<float> logits, int vocabularySize, SamplingScratch scratch, ArrayView<int> ids)
    {
        const string Op = "arg_max";
        Require.That(Op, vocabularySize >= 1 && vocabularySize <= logits.Columns,
            $"vocabulary size is {vocabularySize}, columns of logits {logits.Columns}");
        Require.That(Op, scratch.Rows >= logits.Rows, $"scratch holds {scratch.Rows} rows, logits {logits.Rows}");
        Require.Equal(Op, "length of ids", ids.Length, "rows of logits", logits.Rows);
        return
        [
            loader.Bind(ArgMaxBlocksKernel.ArgMaxBlocks, new ArgMaxBlocksKernel(logits, vocabularySize, scratch.BlockBest)),
            loader.Bind(ArgMaxKernel.ArgMax, new ArgMaxKernel(scratch.BlockBest, ids)),
        ];
    }
}

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

/// <summary>id of the best of a row's blocks, −1 where there is none. Items: rows. best: [R, Blocks]; ids: [R].</summary>
internal readonly struct ArgMaxKernel(Matrix<ulong> best, ArrayView<int> ids) : IPortableKernel
{
    public int Items => (int)ids.Length;

    public static void ArgMax(Index1D thread, int threads, ArgMaxKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public static ulong Best(ArrayView<ulong> blocks)
    {
        ulong best = RankedToken.None;
        for (int b = 0; b < VocabularyBlocks.Count; b++)
        {
            if (blocks[b] > best)
                best = blocks[b];
        }

        return best;
    }

    public void Execute(int row)
    {
        ulong ranked = Best(best.Row(row));
        ids[row] = ranked == RankedToken.None ? DrawnId.Nothing : RankedToken.Id(ranked);
    }
}
