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
            int position = rows.Positions[row];
            int page = rows.PageTable[rows.RowSlot[row], position / KvCache.PageTokens];
            int token = position % KvCache.PageTokens;
            long column = (long)kvHead * pages.HeadDim;
            ShareRow<TKeys>((float*)CpuVectors.Row(k, row) + column, pages.KeyBlock(page, kvHead), token);
            ShareRow<TValues>((float*)CpuVectors.Row(v, row) + column, pages.ValueBlock(page, kvHead), token);
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

            scale = TFormat.ScaleOf(Least(least) + Vector512.Sum(none), -Least(-most) + Vector512.Sum(none));
            TFormat.StoreScale(PageBlock.Scales<TFormat>(block, pages.HeadDim), token, scale);
        }

        byte* row = (byte*)CpuVectors.Pointer(block) + ((long)token * TFormat.RowBytes(pages.HeadDim));
        TFormat.Store(values, row, pages.HeadDim, scale);
    }

    private static float Least(Vector512<float> x)
    {
        float least = x[0];
        for (int i = 1; i < CpuVectors.Width; i++)
            least = x[i] < least ? x[i] : least;
        return least;
    }
}
