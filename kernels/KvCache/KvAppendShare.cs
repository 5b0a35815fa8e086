namespace QwenIlgpu.Kernels;

/// <summary>Neighbouring heads a thread: copied, or rounded as <see cref="Bf16.FromFloat"/> rounds one.</summary>
internal readonly unsafe partial struct KvAppendKernel<TStorage, TFormat> : ICpuShare
{
    public bool TakesShape => typeof(TFormat) == typeof(F32Format) || typeof(TFormat) == typeof(Bf16Format);

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Items, thread, threads);
        for (int item = part.From; item < part.To; item++)
        {
            int row = item / pages.KvHeads;
            int kvHead = item - (row * pages.KvHeads);
            int position = rows.Positions[row];
            int page = rows.PageTable[rows.RowSlot[row], position / KvCache.PageTokens];
            long token = (long)(position % KvCache.PageTokens) * pages.HeadDim;
            Store(CpuVectors.Row(k, row) + ((long)kvHead * pages.HeadDim), CpuVectors.Pointer(pages.KeyBlock(page, kvHead)) + token);
            Store(CpuVectors.Row(v, row) + ((long)kvHead * pages.HeadDim), CpuVectors.Pointer(pages.ValueBlock(page, kvHead)) + token);
        }
    }

    private void Store(float* source, TStorage* target)
    {
        if (typeof(TFormat) == typeof(F32Format))
            new Span<float>(source, pages.HeadDim).CopyTo(new Span<float>(target, pages.HeadDim));
        else
            Bf16Share.Round(source, (ushort*)target, pages.HeadDim);
    }
}
