using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>Writes the keys and values of a step's rows into their sequences' pages, rounded to the pages' element type.</summary>
internal static class KvAppend
{
    /// <summary>
    /// k, v: [T, Hkv · Hd]; rowSlot: [T], the row of pageTable that belongs to the row's sequence; positions: [T]; pageTable:
    /// [slots, blocks], page id of each 64 tokens. Rows may share a place only where nobody needs what is written: padding rows do,
    /// in the page kept for them.
    /// </summary>
    public static Launch Bind<TStorage, TFormat>(
        KernelLoader loader,
        Matrix<float> k,
        Matrix<float> v,
        KvPages<TStorage> pages,
        ArrayView<int> rowSlot,
        ArrayView<int> positions,
        Matrix<int> pageTable)
        where TStorage : unmanaged
        where TFormat : struct, INumberFormat<TStorage>
    {
        const string Op = "kv_append";
        pages.Check(Op);
        Require.Equal(Op, "columns of k", k.Columns, "kv heads · head size of the pages", (long)pages.KvHeads * pages.HeadDim);
        Require.Equal(Op, "rows of v", v.Rows, "rows of k", k.Rows);
        Require.Equal(Op, "columns of v", v.Columns, "columns of k", k.Columns);
        Require.Equal(Op, "length of rowSlot", rowSlot.Length, "rows of k", k.Rows);
        Require.Equal(Op, "length of positions", positions.Length, "rows of k", k.Rows);
        return loader.Bind(
            KvAppendKernel<TStorage, TFormat>.KvAppend,
            new KvAppendKernel<TStorage, TFormat>(k, v, pages, rowSlot, positions, pageTable));
    }
}
