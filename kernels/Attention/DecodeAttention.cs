using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// <see cref="GatedAttention"/> of single rows over long histories: keys are split among groups, each of which reads them once for all
/// query heads that share them. bf16 pages alone.
/// </summary>
internal static class DecodeAttention
{
    private const string Op = "decode_attention";

    /// <summary>Whether there is a kernel for these heads.</summary>
    public static bool Supports(int heads, int kvHeads, int headDim) =>
        headDim is 64 or 128 or 256 && kvHeads > 0 && heads % kvHeads == 0 && heads / kvHeads <= HeadSums.MaxHeads;

    /// <summary>Shape of the scratch that <see cref="Bind"/> wants; nothing in it outlives the launch.</summary>
    public static (int Rows, int Columns) ScratchShape(int rows, int heads, int headDim) =>
        (rows * heads, SplitLayout.MaxSplits * SplitLayout.Columns(headDim));

    /// <summary>Tickets that <see cref="Bind"/> wants.</summary>
    public static int Tickets(int rows, int kvHeads) => rows * kvHeads;

    /// <summary>
    /// q: [T, H · 2 · Hd], per head Hd query values after norm and rotary, then Hd gate values; rowSlot, positions: [T]; pageTable:
    /// [slots, blocks]; tickets: zeros, and zeros again after every launch; y: [T, H · Hd]. Row t attends to the keys at 0 … positions[t]
    /// of its sequence. A row's bits depend on its query, its position and its sequence's pages only.
    /// </summary>
    public static Launch Bind(
        KernelLoader loader,
        Matrix<float> q,
        KvPages<ushort> pages,
        ArrayView<int> rowSlot,
        ArrayView<int> positions,
        Matrix<int> pageTable,
        int heads,
        Matrix<float> scratch,
        ArrayView<int> tickets,
        Matrix<float> y) =>
        Bind<DecodeAttentionPlaces>(loader, q, pages, rowSlot, positions, pageTable, heads, scratch, tickets, y);

    /// <summary>With places that a test can make wrong.</summary>
    public static Launch Bind<TPlaces>(
        KernelLoader loader,
        Matrix<float> q,
        KvPages<ushort> pages,
        ArrayView<int> rowSlot,
        ArrayView<int> positions,
        Matrix<int> pageTable,
        int heads,
        Matrix<float> scratch,
        ArrayView<int> tickets,
        Matrix<float> y)
        where TPlaces : struct, IDecodeAttentionPlaces
    {
        pages.Check(Op);
        int headDim = pages.HeadDim;
        Require.That(
            Op,
            Supports(heads, pages.KvHeads, headDim),
            $"{heads} query heads on {pages.KvHeads} kv heads of {headDim}: up to {HeadSums.MaxHeads} a kv head, of 64, 128 or 256");
        Require.Equal(Op, "columns of q", q.Columns, "heads · 2 · head size", (long)heads * 2 * headDim);
        Require.Equal(Op, "length of rowSlot", rowSlot.Length, "rows of q", q.Rows);
        Require.Equal(Op, "length of positions", positions.Length, "rows of q", q.Rows);
        (int rows, int columns) = ScratchShape(q.Rows, heads, headDim);
        Require.Equal(Op, "rows of scratch", scratch.Rows, "rows of q · heads", rows);
        Require.Equal(Op, "columns of scratch", scratch.Columns, "splits · (head size + 2)", columns);
        Require.That(Op, tickets.Length >= Tickets(q.Rows, pages.KvHeads),
            $"{tickets.Length} tickets, {Tickets(q.Rows, pages.KvHeads)} are needed");
        Require.Equal(Op, "rows of y", y.Rows, "rows of q", q.Rows);
        Require.Equal(Op, "columns of y", y.Columns, "heads · head size", (long)heads * headDim);
        return headDim switch
        {
            64 => BindHeads<Head64>(),
            128 => BindHeads<Head128>(),
            _ => BindHeads<Head256>(),
        };

        Launch BindHeads<THead>()
            where THead : struct, IHeadSize
        {
            // A table of few blocks cannot name more splits than its tokens have.
            int splits = Math.Min(SplitLayout.MaxSplits, Math.Max(1, (pageTable.Columns * KvCache.PageTokens) / SplitLayout.Tokens(1)) + 1);
            return loader.Bind(
                DecodeAttentionKernel<THead, TPlaces>.DecodeAttention,
                new KernelConfig(new Index3D(splits, pages.KvHeads, q.Rows), new Index3D(DecodeAttentionKernel<THead, TPlaces>.GroupSize, 1, 1)),
                new DecodeAttentionKernel<THead, TPlaces>(
                    q, pages.Words<UInt4>(Op), rowSlot, positions, pageTable, heads, scratch.Data, tickets, y));
        }
    }
}
