namespace QwenIlgpu.Kernels;

/// <summary>
/// Causal grouped-query attention over paged keys and values, times the sigmoid of a gate:
/// y = softmax(q · K / sqrt(Hd)) V · σ(gate), the softmax in float.
/// </summary>
internal static class GatedAttention
{
    /// <summary>Shape of the scratch that <see cref="Bind"/> wants; nothing in it outlives the launch.</summary>
    public static (int Rows, int Columns) ScratchShape<TKeys>(int rows, int heads, int headDim)
        where TKeys : struct, IPageFormat => (rows, heads * (KvCache.PageTokens + (TKeys.IsQuantized ? headDim : 0)));

    /// <summary>
    /// q: [T, H · 2 · Hd], per head Hd query values after norm and rotary, then Hd gate values; y: [T, H · Hd]. Row t attends to the
    /// keys at 0 … positions[t] of its sequence, its own among them, all read from the pages. Query head j uses kv head j / (H / Hkv). A row's
    /// bits depend on its query, its position and its sequence's pages only.
    /// </summary>
    public static Launch Bind<TKeys, TValues>(
        KernelLoader loader,
        Matrix<float> q,
        KvPages<TKeys, TValues> pages,
        PagedRows rows,
        int heads,
        Matrix<float> scratch,
        Matrix<float> y)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        const string Op = "gated_attention";
        pages.Check(Op);
        int headDim = pages.HeadDim;
        Require.That(Op, heads > 0 && heads % pages.KvHeads == 0, $"{heads} query heads are no multiple of {pages.KvHeads} kv heads");
        Require.Equal(Op, "columns of q", q.Columns, "heads · 2 · head size", (long)heads * 2 * headDim);
        rows.Check(Op, "rows of q", q.Rows);
        Require.Equal(Op, "rows of scratch", scratch.Rows, "rows of q", q.Rows);
        Require.Equal(Op, "columns of scratch", scratch.Columns, "heads · tokens of a page, and a query where it is turned", ScratchShape<TKeys>(q.Rows, heads, headDim).Columns);
        Require.Equal(Op, "rows of y", y.Rows, "rows of q", q.Rows);
        Require.Equal(Op, "columns of y", y.Columns, "heads · head size", (long)heads * headDim);
        return loader.Bind(
            GatedAttentionKernel<TKeys, TValues>.GatedAttention,
            new GatedAttentionKernel<TKeys, TValues>(
                Float4.Words(Op, "q", q), pages, rows, heads, headDim / 8, scratch, Float4.Words(Op, "y", y)));
    }
}
