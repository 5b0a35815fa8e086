namespace QwenIlgpu.Kernels;

/// <summary>
/// <see cref="QkNormRotary"/> and <see cref="KvAppend"/> in one launch on devices with warps: queries are normalised and turned in place,
/// keys on their way into the pages.
/// </summary>
internal static class QkNormRotaryAppend
{
    /// <summary>Whether heads of this size are served; else the two ops do it one after the other.</summary>
    public static bool Supports(int headDim) =>
        headDim % 32 == 0 && headDim is > 0 and <= QkNormRotaryAppendKernel<F32PageFormat, F32PageFormat>.MostHeadDim;

    /// <summary>
    /// q: [T, H · 2 · Hd], per head Hd query values, then Hd gate values that stay as they are; k, v: [T, Hkv · Hd], which stay as
    /// they are; positions of the rows: below those of the rotary table. Rows may share a place only where nobody needs what is written.
    /// </summary>
    public static Launch Bind<TKeys, TValues>(
        KernelLoader loader,
        Matrix<float> q,
        Matrix<float> k,
        Matrix<float> v,
        int heads,
        QkNormWeights norms,
        KvPages<TKeys, TValues> pages,
        PagedRows rows)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        const string Op = "qk_norm_rotary_append";
        pages.Check(Op);
        int headDim = pages.HeadDim;
        Require.That(
            Op,
            heads > 0 && Supports(headDim),
            $"{heads} query heads of {headDim}: heads must be positive, head size a multiple of 32 and at most 256");
        Require.Equal(Op, "columns of q", q.Columns, "heads · 2 · head size", (long)heads * 2 * headDim);
        Require.Equal(Op, "columns of k", k.Columns, "kv heads · head size of the pages", (long)pages.KvHeads * headDim);
        Require.Equal(Op, "columns of v", v.Columns, "columns of k", k.Columns);
        Require.Equal(Op, "rows of k", k.Rows, "rows of q", q.Rows);
        Require.Equal(Op, "rows of v", v.Rows, "rows of q", q.Rows);
        norms.Check(Op, headDim);
        rows.Check(Op, "rows of q", q.Rows);
        var kernel = new QkNormRotaryAppendKernel<TKeys, TValues>(q, k, Float4.Words(Op, "v", v), norms, pages, rows);
        return loader.Bind(QkNormRotaryAppendKernel<TKeys, TValues>.QkNormRotaryAppend, kernel.Config, kernel);
    }
}
