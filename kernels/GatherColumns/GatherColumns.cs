using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>y[t, p] = x[t, columns[p]]: rows in the order in which a weight has its inputs.</summary>
internal static class GatherColumns
{
    /// <summary>x: [T, K]; columns: [P], each in [0, K), which the caller has checked; y: [T, P].</summary>
    public static Launch Bind(KernelLoader loader, Matrix<float> x, ArrayView<int> columns, Matrix<float> y)
    {
        const string Op = "gather_columns";
        Require.Equal(Op, "columns of y", y.Columns, "number of columns asked for", columns.Length);
        Require.Equal(Op, "rows of y", y.Rows, "rows of x", x.Rows);
        return loader.Bind(GatherColumnsKernel.GatherColumns, new GatherColumnsKernel(x, columns, y));
    }
}
