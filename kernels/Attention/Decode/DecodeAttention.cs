using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// <see cref="GatedAttention"/> for rows that each attend to a long past, over pages of bf16 or codes and on devices with warps and
/// tensor cores: every key and value is read once for all query heads of its kv head, by as many groups as the row is long for.
/// </summary>
internal static class DecodeAttention
{
    private const string Op = "decode_attention";

    // Beside the sums of a head: their maximum and weight, and two that fill the word.
    private const int StatsColumns = 4;

    /// <summary>Whether heads of this size in such pages are served; else <see cref="GatedAttention"/> does it.</summary>
    public static bool Supports<TKeys, TValues>(int heads, int kvHeads, int headDim)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat =>
        typeof(TKeys) != typeof(F32PageFormat) && typeof(TValues) != typeof(F32PageFormat)
        && headDim is 64 or 128 or 256 && heads % kvHeads == 0 && heads / kvHeads is >= 1 and <= 8;

    /// <summary>
    /// Shape of the scratch that <see cref="Bind"/> wants; nothing in it outlives the launch. blocks: columns of the page table.
    /// </summary>
    public static (int Rows, int Columns) ScratchShape(int rows, int heads, int headDim, int blocks)
    {
        int splits = SplitPlan.MostOf(blocks);
        return (rows, heads * (splits + SplitPlan.Eights(splits)) * (headDim + StatsColumns));
    }

    /// <summary>Counters that <see cref="Bind"/> wants: 0 before the first launch, and every launch leaves them so.</summary>
    public static int Tickets(int rows, int kvHeads) => rows * kvHeads * (1 + SplitPlan.Eight);

    /// <summary>
    /// q: [T, H · 2 · Hd], per head Hd query values after norm and rotary, then Hd gate values; scratch: <see cref="ScratchShape"/>;
    /// tickets: <see cref="Tickets"/>, not shared with a launch that may run at the same time; y: [T, H · Hd]. Row t attends to the
    /// keys at 0 … positions[t] of its sequence, its own among them, all read from the pages.
    /// </summary>
    /// <remarks>
    /// Queries and weights go into the products as two bf16 each, sums are float. A row's bits depend on its query, its position and its
    /// sequence's pages only.
    /// </remarks>
    public static Launch Bind<TKeys, TValues>(
        KernelLoader loader,
        Matrix<float> q,
        KvPages<TKeys, TValues> pages,
        PagedRows rows,
        int heads,
        Matrix<float> scratch,
        ArrayView<int> tickets,
        Matrix<float> y)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        Check(q, pages, rows, heads, scratch, tickets, y);
        return pages.HeadDim switch
        {
            64 => BindHead<Head64, TKeys, TValues>(loader, q, pages, rows, heads, scratch, tickets, y),
            128 => BindHead<Head128, TKeys, TValues>(loader, q, pages, rows, heads, scratch, tickets, y),
            _ => BindHead<Head256, TKeys, TValues>(loader, q, pages, rows, heads, scratch, tickets, y),
        };
    }

    private static Launch BindHead<THead, TKeys, TValues>(
        KernelLoader loader,
        Matrix<float> q,
        KvPages<TKeys, TValues> pages,
        PagedRows rows,
        int heads,
        Matrix<float> scratch,
        ArrayView<int> tickets,
        Matrix<float> y)
        where THead : struct, IHeadSlices
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        // Scores are taken in powers of two: log2(e) / sqrt(Hd) goes into the query.
        var scale = (float)(Math.Log2(Math.E) / Math.Sqrt(pages.HeadDim));
        int groupHeads = heads / pages.KvHeads;
        var parts = new SplitScratch(SplitPlan.MostOf(rows.PageTable.Columns), Float4.Words(Op, "scratch", scratch).Data, tickets);
        Matrix<Float4> queries = Float4.Words(Op, "q", q);
        Matrix<Float4> outputs = Float4.Words(Op, "y", y);
        return pages switch
        {
            KvPages<Bf16PageFormat, Bf16PageFormat> bf16 => BindBf16(bf16),
            KvPages<Int8PageFormat, Int8PageFormat> int8 => BindCodes(int8),
            KvPages<Int4PageFormat, Int4PageFormat> int4 => BindCodes(int4),
            KvPages<Int8PageFormat, Int4PageFormat> both => BindCodes(both),
            _ => throw new ArgumentException($"{Op}: no kernel reads pages of {typeof(TKeys).Name} and {typeof(TValues).Name}"),
        };

        Launch BindBf16(KvPages<Bf16PageFormat, Bf16PageFormat> bf16)
        {
            var kernel = new DecodeAttentionKernel<THead>(queries, bf16, rows, groupHeads, scale, parts, outputs);
            return loader.Bind(DecodeAttentionKernel<THead>.DecodeAttention, kernel.Config, kernel);
        }

        Launch BindCodes<TKeyCodes, TValueCodes>(KvPages<TKeyCodes, TValueCodes> codes)
            where TKeyCodes : struct, ICodedPageFormat
            where TValueCodes : struct, ICodedPageFormat
        {
            // The kernel counts their words in 32 bits.
            long words = Math.Max(codes.Keys.Length, codes.Values.Length);
            Require.That(
                Op, words <= int.MaxValue, $"{words} words of 16 bytes in a layer's key or value pages are more than {int.MaxValue}: take fewer pages");
            var kernel = new CodedDecodeAttentionKernel<THead, TKeyCodes, TValueCodes>(queries, codes, rows, groupHeads, scale, parts, outputs);
            return loader.Bind(CodedDecodeAttentionKernel<THead, TKeyCodes, TValueCodes>.DecodeAttention, kernel.Config, kernel);
        }
    }

    private static void Check<TKeys, TValues>(
        Matrix<float> q,
        KvPages<TKeys, TValues> pages,
        PagedRows rows,
        int heads,
        Matrix<float> scratch,
        ArrayView<int> tickets,
        Matrix<float> y)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        pages.Check(Op);
        int headDim = pages.HeadDim;
        Require.That(Op, headDim is 64 or 128 or 256, $"head size is {headDim}, it must be 64, 128 or 256");
        Require.That(
            Op,
            heads > 0 && heads % pages.KvHeads == 0 && heads / pages.KvHeads <= 8,
            $"{heads} query heads are not 1 to 8 for each of {pages.KvHeads} kv heads");
        Require.Equal(Op, "columns of q", q.Columns, "heads · 2 · head size", (long)heads * 2 * headDim);
        rows.Check(Op, "rows of q", q.Rows);
        (int scratchRows, int columns) = ScratchShape(q.Rows, heads, headDim, rows.PageTable.Columns);
        Require.Equal(Op, "rows of scratch", scratch.Rows, "rows of q", scratchRows);
        Require.Equal(Op, "columns of scratch", scratch.Columns, "of the parts of a row", columns);
        Require.Equal(Op, "stride of scratch", scratch.Stride, "its columns", columns);
        Require.That(
            Op,
            tickets.Length >= Tickets(q.Rows, pages.KvHeads),
            $"{tickets.Length} tickets are fewer than {Tickets(q.Rows, pages.KvHeads)} of {q.Rows} rows and {pages.KvHeads} kv heads");
        Require.Equal(Op, "rows of y", y.Rows, "rows of q", q.Rows);
        Require.Equal(Op, "columns of y", y.Columns, "heads · head size", (long)heads * headDim);
    }
}
