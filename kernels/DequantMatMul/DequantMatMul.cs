namespace QwenIlgpu.Kernels;

/// <summary>y = x · Wᵀ with INT4 weights, accumulated in float.</summary>
internal static class DequantMatMul
{
    /// <summary>x: [M, K]; w: [N, K]; y: [M, N]. A row of y has the same bits whatever M is.</summary>
    public static Launch Bind(KernelLoader loader, Matrix<float> x, Int4Matrix w, Matrix<float> y)
    {
        const string Op = "dequant_matmul";
        w.Check(Op, "w");
        Require.Equal(Op, "columns of x", x.Columns, "columns of w", w.Columns);
        Require.Equal(Op, "columns of y", y.Columns, "rows of w", w.Rows);
        Require.Equal(Op, "rows of y", y.Rows, "rows of x", x.Rows);
        return w.ScaleType == WeightType.F16
            ? loader.Bind(
                DequantMatMulKernel<F16Format>.DequantMatMul, new DequantMatMulKernel<F16Format>(x, w.Codes, w.Scales, w.GroupSize, y))
            : loader.Bind(
                DequantMatMulKernel<Bf16Format>.DequantMatMul, new DequantMatMulKernel<Bf16Format>(x, w.Codes, w.Scales, w.GroupSize, y));
    }
}
