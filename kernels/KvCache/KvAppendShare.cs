using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>Neighbouring heads a thread.</summary>
internal readonly unsafe partial struct KvAppendKernel<TKeys, TValues> : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Items, thread, threads);
        for (int item = part.From; item < part.To; item++)
        {
            int row = item / pages.KvHeads;
            int kvHead = item - (row * pages.KvHeads);
            PagePlace place = rows.PlaceOf(row);
            long column = (long)kvHead * pages.HeadDim;
            ShareRow<TKeys>((float*)CpuVectors.Row(k, row) + column, pages.KeyBlock(place.Page, kvHead), place.Token);
            ShareRow<TValues>((float*)CpuVectors.Row(v, row) + column, pages.ValueBlock(place.Page, kvHead), place.Token);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void ShareRow<TFormat>(float* values, ILGPU.ArrayView<UInt4> block, int token)
        where TFormat : struct, IPageFormat
    {
        PageScale scale = default;
        if (TFormat.IsQuantized)
        {
            Hadamard.Turn(values, pages.HeadDim);
            Vector512<float> least = Vector512.Load(values), most = least, none = default;
            for (int i = 0; i < pages.HeadDim; i += CpuVectors.Width)
            {
                Vector512<float> value = Vector512.Load(values + i);
                least = Vector512.Min(least, value);
                most = Vector512.Max(most, value);
                none += value - value;
            }

            scale = TFormat.ScaleOf(-CpuVectors.Largest(-least) + Vector512.Sum(none), CpuVectors.Largest(most) + Vector512.Sum(none));
            TFormat.StoreScale(PageBlock.Scales<TFormat>(block, pages.HeadDim), token, scale);
        }

        byte* row = (byte*)CpuVectors.Pointer(block) + ((long)token * TFormat.RowBytes(pages.HeadDim));
        TFormat.Store(values, row, pages.HeadDim, scale);
    }
}
