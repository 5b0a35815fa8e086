using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary><see cref="QkNormRotary"/> and <see cref="KvAppend"/> in one launch, for decode. Keys and values are written to pages alone.</summary>
internal static class QkNormRotaryAppend
{
    /// <summary>Whether there is a kernel for heads of this size.</summary>
    public static bool Supports(int headDim) => headDim is > 0 and <= QkNormRotaryAppendKernel<float, F32Format>.MaxHeadDim;

    /// <summary>
    /// q: [T, H · 2 · Hd], per head Hd query values, then Hd gate values that stay as they are; k, v: [T, Hkv · Hd], only read; qNorm,
    /// kNorm: [Hd]; rowSlot, positions: [T]; pageTable: [slots, blocks]. Rows may share a place only where nobody needs what is written.
    /// </summary>
    public static Launch Bind<TStorage, TFormat>(
        KernelLoader loader,
        Matrix<float> q,
        Matrix<float> k,
        Matrix<float> v,
        int heads,
        ArrayView<float> qNorm,
        ArrayView<float> kNorm,
        KvPages<TStorage> pages,
        ArrayView<int> rowSlot,
        ArrayView<int> positions,
        Matrix<int> pageTable,
        RotaryView rotary,
        float eps)
        where TStorage : unmanaged
        where TFormat : struct, INumberFormat<TStorage>
    {
        const string Op = "qk_norm_rotary_append";
        pages.Check(Op);
        int headDim = pages.HeadDim;
        Require.That(Op, heads > 0 && Supports(headDim), $"{heads} query heads of {headDim}: at least one, of at most 256");
        Require.That(
            Op, 2 * rotary.Frequencies <= headDim, $"the rotary table turns {2 * rotary.Frequencies} dimensions of heads of {headDim}");
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
            q, k, v, heads, qNorm, kNorm, pages, rowSlot, positions, pageTable, rotary, eps);
        return loader.Bind(QkNormRotaryAppendKernel<TStorage, TFormat>.QkNormRotaryAppend, kernel.Config, kernel);
    }
}
