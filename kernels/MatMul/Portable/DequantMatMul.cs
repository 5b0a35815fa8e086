namespace QwenIlgpu.Kernels;

/// <summary>
/// y = x · Wᵀ with quantised weights, accumulated in float. Where it takes fixed point, which decode steps do, CPU shares may round x to
/// 24 bits of the largest of 128 neighbours and sum integers: faster for a token, slower for a prompt.
/// </summary>
internal static class DequantMatMul
{
    private const string Op = "dequant_matmul";

    /// <summary>x: [M, K]; w: INT4 [N, K]; y: [M, N]. A row of y has the same bits whatever M is.</summary>
    public static Launch Bind(KernelLoader loader, Matrix<float> x, Int4Matrix w, Matrix<float> y, bool takesFixedPoint = false)
    {
        w.Check(Op, "w");
        CheckShapes(x, w.Rows, w.Columns, y);
        return w.ScaleType == WeightType.F16
            ? BindScaled<F16Format>(loader, x, w, y, takesFixedPoint)
            : BindScaled<Bf16Format>(loader, x, w, y, takesFixedPoint);
    }

    /// <summary>x: [M, K]; w: INT8 [N, K]; y: [M, N]. A row of y has the same bits whatever M is.</summary>
    public static Launch Bind(KernelLoader loader, Matrix<float> x, Int8Matrix w, Matrix<float> y, bool takesFixedPoint = false)
    {
        w.Check(Op, "w");
        CheckShapes(x, w.Rows, w.Columns, y);
        return w.ScaleType == WeightType.F16
            ? MatMul.Bind(loader, x, new Int8Weights<F16Format>(w), y, takesFixedPoint)
            : MatMul.Bind(loader, x, new Int8Weights<Bf16Format>(w), y, takesFixedPoint);
    }

    private static void CheckShapes(Matrix<float> x, int rows, int columns, Matrix<float> y)
    {
        Require.Equal(Op, "columns of x", x.Columns, "columns of w", columns);
        Require.Equal(Op, "columns of y", y.Columns, "rows of w", rows);
        Require.Equal(Op, "rows of y", y.Rows, "rows of x", x.Rows);
    }

    private static Launch BindScaled<TScale>(KernelLoader loader, Matrix<float> x, Int4Matrix w, Matrix<float> y, bool takesFixedPoint)
        where TScale : struct, INumberFormat<ushort> =>
        w.IsSymmetric
            ? MatMul.Bind(loader, x, new Int4Weights<TScale, SymmetricZero>(w), y, takesFixedPoint)
            : MatMul.Bind(loader, x, new Int4Weights<TScale, StoredZero>(w), y, takesFixedPoint);
}
