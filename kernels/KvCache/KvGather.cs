using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Reads keys and values back from their pages as floats: for export, tests and looking at what a cache holds. Attention does not need it: it
/// expands pages itself.
/// </summary>
internal static class KvGather
{
    /// <summary>
    /// k, v: [T, Hkv · Hd]; row t becomes what the pages hold of position[t] of its sequence, scaled and, where they are quantised, turned back.
    /// </summary>
    public static Launch Bind<TKeys, TValues>(
        KernelLoader loader, KvPages<TKeys, TValues> pages, PagedRows rows, Matrix<float> k, Matrix<float> v)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        const string Op = "kv_gather";
        pages.Check(Op);
        Require.Equal(Op, "columns of k", k.Columns, "kv heads · head size of the pages", (long)pages.KvHeads * pages.HeadDim);
        Require.Equal(Op, "rows of v", v.Rows, "rows of k", k.Rows);
        Require.Equal(Op, "columns of v", v.Columns, "columns of k", k.Columns);
        rows.Check(Op, "rows of k", k.Rows);
        return loader.Bind(
            KvGatherKernel<TKeys, TValues>.KvGather,
            new KvGatherKernel<TKeys, TValues>(pages, rows, Float4.Words(Op, "k", k), Float4.Words(Op, "v", v)));
    }
}

/// <summary>The key and the value of one kv head of one row an item. k, v: [T, Hkv · Hd], float in words of four.</summary>
[Instantiation(typeof(F32PageFormat), typeof(F32PageFormat))]
[Instantiation(typeof(Bf16PageFormat), typeof(Bf16PageFormat))]
[Instantiation(typeof(Int8PageFormat), typeof(Int8PageFormat))]
[Instantiation(typeof(Int4PageFormat), typeof(Int4PageFormat))]
[Instantiation(typeof(Int8PageFormat), typeof(Int4PageFormat))]
internal readonly struct KvGatherKernel<TKeys, TValues>(
    KvPages<TKeys, TValues> pages, PagedRows rows, Matrix<Float4> k, Matrix<Float4> v) : IPortableKernel
    where TKeys : struct, IPageFormat
    where TValues : struct, IPageFormat
{
    public int Items => k.Rows * pages.KvHeads;

    public static void KvGather(Index1D thread, int threads, KvGatherKernel<TKeys, TValues> kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int row = item / pages.KvHeads;
        int kvHead = item - (row * pages.KvHeads);
        PagePlace place = rows.PlaceOf(row);
        int headWords = pages.HeadDim >> 2;
        Read<TKeys>(pages.KeyBlock(place.Page, kvHead), place.Token, k.Row(row).SubView(kvHead * headWords, headWords));
        Read<TValues>(pages.ValueBlock(place.Page, kvHead), place.Token, v.Row(row).SubView(kvHead * headWords, headWords));
    }

    private void Read<TFormat>(ArrayView<UInt4> block, int token, ArrayView<Float4> target)
        where TFormat : struct, IPageFormat
    {
        ArrayView<UInt4> row = PageBlock.Row<TFormat>(block, pages.HeadDim, token);
        Float2 scale = TFormat.LoadScale(PageBlock.Scales<TFormat>(block, pages.HeadDim), token);
        var zero = new Float4(scale.Y, scale.Y, scale.Y, scale.Y);
        for (int eight = 0; eight < pages.HeadDim >> 3; eight++)
        {
            Float8 x = TFormat.Load(row, eight);
            target[2 * eight] = TFormat.IsQuantized ? (x.Low * scale.X) + zero : x.Low;
            target[(2 * eight) + 1] = TFormat.IsQuantized ? (x.High * scale.X) + zero : x.High;
        }

        if (TFormat.IsQuantized)
            Hadamard.Turn(target.Cast<float>(), pages.HeadDim);
    }
}
