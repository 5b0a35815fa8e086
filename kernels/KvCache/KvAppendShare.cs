namespace QwenIlgpu.Kernels;

/// <summary>Neighbouring heads a thread.</summary>
internal readonly unsafe partial struct KvAppendKernel<TStorage, TFormat> : ICpuShare
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
            long token = (long)(position % KvCache.PageTokens) * pages.HeadDim;
            long column = (long)kvHead * pages.HeadDim;
            TFormat.Store(CpuVectors.Row(k, row) + column, CpuVectors.Pointer(pages.KeyBlock(page, kvHead)) + token, pages.HeadDim);
            TFormat.Store(CpuVectors.Row(v, row) + column, CpuVectors.Pointer(pages.ValueBlock(page, kvHead)) + token, pages.HeadDim);
        }
    }
}
