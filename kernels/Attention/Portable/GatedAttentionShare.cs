namespace QwenIlgpu.Kernels;

/// <summary>Heads of whole vectors' pairs, over pages of every type; the scratch stays as it is: a thread has memory of its own.</summary>
internal readonly unsafe partial struct GatedAttentionKernel<TKeys, TValues> : ICpuShare
{
    public bool TakesShape => headEights % (AttentionShare.PairDims / 8) == 0;

    public void Share(int thread, int threads)
    {
        var operands = new AttentionOperands
        {
            Rows = q.Rows,
            Heads = heads,
            KvHeads = pages.KvHeads,
            HeadDim = 8 * headEights,
            Q = (float*)CpuVectors.Pointer(q.Data),
            QStride = 4L * q.Stride,
            Y = (float*)CpuVectors.Pointer(y.Data),
            YStride = 4L * y.Stride,
            Keys = (byte*)CpuVectors.Pointer(pages.Keys),
            Values = (byte*)CpuVectors.Pointer(pages.Values),
            RowSlot = CpuVectors.Pointer(rows.RowSlot),
            Positions = CpuVectors.Pointer(rows.Positions),
            PageTable = CpuVectors.Pointer(rows.PageTable.Data),
            PageTableStride = rows.PageTable.Stride,
        };
        AttentionShare.Run<TKeys, TValues>(operands, thread, threads);
    }
}

/// <summary>
/// Where the operands of <see cref="GatedAttentionKernel{TKeys, TValues}"/> lie, strides in elements.
/// </summary>
internal unsafe struct AttentionOperands
{
    public int Rows;
    public int Heads;
    public int KvHeads;
    public int HeadDim;
    public float* Q;
    public long QStride;
    public float* Y;
    public long YStride;
    public byte* Keys;
    public byte* Values;
    public int* RowSlot;
    public int* Positions;
    public int* PageTable;
    public long PageTableStride;

    /// <summary>The pages of a row's sequence.</summary>
    public readonly int* Table(int row) => PageTable + (RowSlot[row] * PageTableStride);

    /// <summary>A head's block in a page.</summary>
    public readonly byte* Block<TFormat>(byte* pages, int page, int kvHead)
        where TFormat : struct, IPageFormat => pages + ((((long)page * KvHeads) + kvHead) * 16 * PageBlock.Words<TFormat>(HeadDim));
}
