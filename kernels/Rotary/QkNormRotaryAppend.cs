using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// <see cref="QkNormRotary"/> and <see cref="KvAppend"/> in one launch on devices with warps: queries are normalised and turned in place,
/// keys on their way into the pages.
/// </summary>
internal static class QkNormRotaryAppend
{
    /// <summary>Whether heads of this size are served; else the two ops do it one after the other.</summary>
    public static bool Supports(int headDim) =>
        headDim % 32 == 0 && headDim is > 0 and <= QkNormRotaryAppendKernel<float, F32Format>.MostHeadDim;

    /// <summary>
    /// q: [T, H · 2 · Hd], per head Hd query values, then Hd gate values that stay as they are; k, v: [T, Hkv · Hd], which stay as
    /// they are; qNorm, kNorm: [Hd]; rowSlot: [T], the row of pageTable that belongs to the row's sequence; positions: [T], below
    /// those of rotary; pageTable: [slots, blocks], page id of each 64 tokens. Rows may share a place only where nobody needs what is
    /// written.
    /// </summary>
    public static Launch Bind<TStorage, TFormat>(
        KernelLoader loader,
        Matrix<float> q,
        Matrix<float> k,
        Matrix<float> v,
        int heads,
        ArrayView<float> qNorm,
        ArrayView<float> kNorm,
        RotaryView rotary,
        int rotaryDim,
        float eps,
        KvPages<TStorage> pages,
        ArrayView<int> rowSlot,
        ArrayView<int> positions,
        Matrix<int> pageTable)
        where TStorage : unmanaged
        where TFormat : struct, INumberFormat<TStorage>
    {
        const string Op = "qk_norm_rotary_append";
        pages.Check(Op);
        int headDim = pages.HeadDim;
        Require.That(
            Op,
            heads > 0 && Supports(headDim),
            $"{heads} query heads of {headDim}: heads must be positive, head size a multiple of 32 and at most 256");
        Require.That(
            Op,
            rotaryDim > 0 && rotaryDim <= headDim && rotaryDim == 2 * rotary.Frequencies,
            $"rotaryDim is {rotaryDim}, of the rotary table {2 * rotary.Frequencies}, of at most the head size {headDim}");
        Require.Equal(Op, "columns of q", q.Columns, "heads · 2 · head size", (long)heads * 2 * headDim);
        Require.Equal(Op, "columns of k", k.Columns, "kv heads · head size of the pages", (long)pages.KvHeads * headDim);
        Require.Equal(Op, "columns of v", v.Columns, "columns of k", k.Columns);
        Require.Equal(Op, "rows of k", k.Rows, "rows of q", q.Rows);
        Require.Equal(Op, "rows of v", v.Rows, "rows of q", q.Rows);
        Require.Equal(Op, "length of qNorm", qNorm.Length, "head size", headDim);
        Require.Equal(Op, "length of kNorm", kNorm.Length, "head size", headDim);
        Require.Equal(Op, "length of rowSlot", rowSlot.Length, "rows of q", q.Rows);
        Require.Equal(Op, "length of positions", positions.Length, "rows of q", q.Rows);
        var kernel = new QkNormRotaryAppendKernel<TStorage, TFormat>(
            q, k, v, qNorm, kNorm, rotary, eps, pages, rowSlot, positions, pageTable);
        return loader.Bind(QkNormRotaryAppendKernel<TStorage, TFormat>.QkNormRotaryAppend, kernel.Config, kernel);
    }
}
