using ILGPU;

namespace QwenIlgpu.Kernels;

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
