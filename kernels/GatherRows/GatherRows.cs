using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>y[i] = x[rows[i]]: the rows whose logits a step asks for.</summary>
internal static class GatherRows
{
    /// <summary>x: [T, D]; rows: [R], each in [0, T), which the caller has checked; y: [R, D].</summary>
    public static Launch Bind(KernelLoader loader, Matrix<float> x, ArrayView<int> rows, Matrix<float> y)
    {
        const string Op = "gather_rows";
        Require.Equal(Op, "rows of y", y.Rows, "number of rows asked for", rows.Length);
        Require.Equal(Op, "columns of y", y.Columns, "columns of x", x.Columns);
        return loader.Bind(GatherRowsKernel.GatherRows, new GatherRowsKernel(x, rows, y));
    }
}
