using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>The key and the value of one kv head of one row an item. k, v: [T, Hkv · Hd], float in words of four.</summary>
[Instantiation(typeof(F32PageFormat), typeof(F32PageFormat))]
[Instantiation(typeof(Bf16PageFormat), typeof(Bf16PageFormat))]
[Instantiation(typeof(Int8PageFormat), typeof(Int8PageFormat))]
[Instantiation(typeof(Int4PageFormat), typeof(Int4PageFormat))]
[Instantiation(typeof(Int8PageFormat), typeof(Int4PageFormat))]
internal readonly partial struct KvAppendKernel<TKeys, TValues>(
    Matrix<Float4> k, Matrix<Float4> v, KvPages<TKeys, TValues> pages, PagedRows rows) : IPortableKernel
    where TKeys : struct, IPageFormat
    where TValues : struct, IPageFormat
{
    public int Items => k.Rows * pages.KvHeads;

    public static void KvAppend(Index1D thread, int threads, KvAppendKernel<TKeys, TValues> kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int row = item / pages.KvHeads;
        int kvHead = item - (row * pages.KvHeads);
        PagePlace place = rows.PlaceOf(row);
        int headWords = pages.HeadDim >> 2;
        Write<TKeys>(k.Row(row).SubView(kvHead * headWords, headWords), pages.KeyBlock(place.Page, kvHead), place.Token);
        Write<TValues>(v.Row(row).SubView(kvHead * headWords, headWords), pages.ValueBlock(place.Page, kvHead), place.Token);
    }

    private void Write<TFormat>(ArrayView<Float4> source, ArrayView<UInt4> block, int token)
        where TFormat : struct, IPageFormat
    {
        PageScale scale = default;
        if (TFormat.IsQuantized)
        {
            ArrayView<float> values = source.Cast<float>();
            Hadamard.Turn(values, pages.HeadDim);
            float least = values[0];
            float most = values[0];
            float none = 0;                                 // NaN where any element is or is infinite
            for (int i = 0; i < pages.HeadDim; i++)
            {
                float value = values[i];
                least = value < least ? value : least;
                most = value > most ? value : most;
                none += value - value;
            }

            scale = TFormat.ScaleOf(least + none, most + none);
            TFormat.StoreScale(PageBlock.Scales<TFormat>(block, pages.HeadDim), token, scale);
        }

        ArrayView<UInt4> row = PageBlock.Row<TFormat>(block, pages.HeadDim, token);
        for (int eight = 0; eight < pages.HeadDim >> 3; eight++)
            TFormat.Store(row, eight, new Float8(source[2 * eight], source[(2 * eight) + 1]), scale);
    }
}
