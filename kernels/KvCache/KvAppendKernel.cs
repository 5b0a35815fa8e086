using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The key and the value of one kv head of one row an item. k, v: [T, Hkv · Hd] float; rowSlot, positions: [T];
/// pageTable: [slots, blocks].
/// </summary>
[Instantiation(typeof(float), typeof(F32Format))]
[Instantiation(typeof(ushort), typeof(Bf16Format))]
internal readonly partial struct KvAppendKernel<TStorage, TFormat>(
    Matrix<float> k,
    Matrix<float> v,
    KvPages<TStorage> pages,
    ArrayView<int> rowSlot,
    ArrayView<int> positions,
    Matrix<int> pageTable) : IPortableKernel
    where TStorage : unmanaged
    where TFormat : struct, INumberFormat<TStorage>
{
    public int Items => k.Rows * pages.KvHeads;

    public static void KvAppend(Index1D thread, int threads, KvAppendKernel<TStorage, TFormat> kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int row = item / pages.KvHeads;
        int kvHead = item - (row * pages.KvHeads);
        int position = positions[row];
        int block = (int)((uint)position / KvCache.PageTokens);
        int page = pageTable[rowSlot[row], block];
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
