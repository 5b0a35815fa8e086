namespace QwenIlgpu.Kernels;

/// <summary>Writes the keys and values of a step's rows into their sequences' pages, as the pages hold them.</summary>
internal static class KvAppend
{
    /// <summary>
    /// k, v: [T, Hkv · Hd], which quantised pages leave turned by <see cref="Hadamard"/>. Rows may share a place only where nobody needs what is written: padding rows do, in the page kept for them.
    /// </summary>
    public static Launch Bind<TKeys, TValues>(
        KernelLoader loader, Matrix<float> k, Matrix<float> v, KvPages<TKeys, TValues> pages, PagedRows rows)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        const string Op = "kv_append";
        pages.Check(Op);
        Require.Equal(Op, "columns of k", k.Columns, "kv heads · head size of the pages", (long)pages.KvHeads * pages.HeadDim);
        Require.Equal(Op, "rows of v", v.Rows, "rows of k", k.Rows);
        Require.Equal(Op, "columns of v", v.Columns, "columns of k", k.Columns);
        rows.Check(Op, "rows of k", k.Rows);
        return loader.Bind(KvAppendKernel<TKeys, TValues>.KvAppend, new KvAppendKernel<TKeys, TValues>(Float4.Words(Op, "k", k), Float4.Words(Op, "v", v), pages, rows));
    }
}
