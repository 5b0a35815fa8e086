namespace QwenIlgpu.Kernels;

/// <summary>Writes the keys and values of a step's rows into their sequences' pages, rounded to the pages' element type.</summary>
internal static class KvAppend
{
    /// <summary>
    /// k, v: [T, Hkv · Hd]. Rows may share a place only where nobody needs what is written: padding rows do, in the page kept for them.
    /// </summary>
    public static Launch Bind<TStorage, TFormat>(
        KernelLoader loader, Matrix<float> k, Matrix<float> v, KvPages<TStorage> pages, PagedRows rows)
        where TStorage : unmanaged
        where TFormat : struct, IPageFormat<TStorage>
    {
        const string Op = "kv_append";
        pages.Check(Op);
        Require.Equal(Op, "columns of k", k.Columns, "kv heads · head size of the pages", (long)pages.KvHeads * pages.HeadDim);
        Require.Equal(Op, "rows of v", v.Rows, "rows of k", k.Rows);
        Require.Equal(Op, "columns of v", v.Columns, "columns of k", k.Columns);
        rows.Check(Op, "rows of k", k.Rows);
        return loader.Bind(KvAppendKernel<TStorage, TFormat>.KvAppend, new KvAppendKernel<TStorage, TFormat>(k, v, pages, rows));
    }
}
