using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

/// <summary>Pages of seeded keys and values.</summary>
internal static class FilledPages
{
    public const int KeySeed = 2;
    public const int ValueSeed = 3;

    /// <summary>Pages of a table's first row, filled by appending.</summary>
    public static KvPages<TKeys, TValues> Of<TKeys, TValues>(BenchDevice device, int pages, int kvHeads, int headDim, Matrix<int> table)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        var filled = new KvPages<TKeys, TValues>(
            device.Poisoned<UInt4>((long)pages * kvHeads * PageBlock.Words<TKeys>(headDim)),
            device.Poisoned<UInt4>((long)pages * kvHeads * PageBlock.Words<TValues>(headDim)), pages, kvHeads, headDim);
        int rows = pages * KvCache.PageTokens;
        int width = kvHeads * headDim;
        KvAppend.Bind(
            device.Loader, device.Upload(Seeded.Floats(KeySeed, (long)rows * width), rows, width), device.Upload(Seeded.Floats(ValueSeed, (long)rows * width), rows, width),
            filled, Rows(device, table, rows)).Run(device.Stream);
        device.Stream.Synchronize();
        return filled;
    }

    /// <summary>What they hold of the first tokens: keys and values [token, kv head, Hd].</summary>
    public static (double[] K, double[] V) Read<TKeys, TValues>(
        BenchDevice device, KvPages<TKeys, TValues> pages, Matrix<int> table, int tokens)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        Matrix<float> k = device.Poisoned<float>(tokens, pages.KvHeads * pages.HeadDim);
        Matrix<float> v = device.Poisoned<float>(tokens, pages.KvHeads * pages.HeadDim);
        KvGather.Bind(device.Loader, pages, Rows(device, table, tokens), k, v).Run(device.Stream);
        return (Array.ConvertAll(device.Download(k.Data), x => (double)x), Array.ConvertAll(device.Download(v.Data), x => (double)x));
    }

    private static PagedRows Rows(BenchDevice device, Matrix<int> table, int rows) =>
        new(device.Upload(new int[rows]), device.Upload([.. Enumerable.Range(0, rows)]), table);
}
