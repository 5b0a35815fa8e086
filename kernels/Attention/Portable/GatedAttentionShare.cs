using System.Runtime.CompilerServices;

namespace QwenIlgpu.Kernels;

/// <summary>Heads of whole vectors' pairs, over pages of every type; the scratch stays as it is: a thread has memory of its own.</summary>
internal readonly unsafe partial struct GatedAttentionKernel<TStorage, TFormat> : ICpuShare
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
            TokenBytes = pages.HeadDim * Unsafe.SizeOf<UInt4>(),
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
        AttentionShare.Run<TStorage, TFormat>(operands, thread, threads);
    }
}

/// <summary>
/// Where the operands of <see cref="GatedAttentionKernel{TStorage, TFormat}"/> lie, strides in elements. A token of a kv head in a page
/// has so many bytes, 64 tokens lie side by side.
/// </summary>
internal unsafe struct AttentionOperands
{
    public int Rows;
    public int Heads;
    public int KvHeads;
    public int HeadDim;
    public long TokenBytes;
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

    /// <summary>Bytes from the first page to a head's block in a page; 64 bits: a layer's pages may hold more than 2^31.</summary>
    public readonly long BlockOffset(int page, int kvHead) => (((long)page * KvHeads) + kvHead) * KvCache.PageTokens * TokenBytes;
}
