using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>The key and the value of one kv head of one row an item. k, v: [T, Hkv · Hd] float.</summary>
internal readonly partial struct KvAppendKernel<TStorage, TFormat>(
    Matrix<float> k, Matrix<float> v, KvPages<TStorage> pages, PagedRows rows) : IPortableKernel
    where TStorage : unmanaged
    where TFormat : struct, IPageFormat<TStorage>
{
    public int Items => k.Rows * pages.KvHeads;

    public static void KvAppend(Index1D thread, int threads, KvAppendKernel<TStorage, TFormat> kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int row = item / pages.KvHeads;
        int kvHead = item - (row * pages.KvHeads);
        int position = rows.Positions[row];
        int block = (int)((uint)position / KvCache.PageTokens);
        int page = rows.PageTable[rows.RowSlot[row], block];
        int token = position - (block * KvCache.PageTokens);
        Write(k.Row(row).SubView(kvHead * pages.HeadDim, pages.HeadDim), pages.KeyBlock(page, kvHead), token);
        Write(v.Row(row).SubView(kvHead * pages.HeadDim, pages.HeadDim), pages.ValueBlock(page, kvHead), token);
    }

    private void Write(ArrayView<float> source, ArrayView<TStorage> block, int token)
    {
        ArrayView<TStorage> target = block.SubView(token * pages.HeadDim, pages.HeadDim);
        for (int i = 0; i < pages.HeadDim; i++)
            target[i] = TFormat.Store(source[i]);
    }
}
