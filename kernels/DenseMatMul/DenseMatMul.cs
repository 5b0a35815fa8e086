namespace QwenIlgpu.Kernels;

/// <summary>y = x · Wᵀ with plain weights, accumulated in float.</summary>
internal static class DenseMatMul
{
    /// <summary>x: [M, K]; w: [N, K]; y: [M, N]. A row of y has the same bits whatever M is.</summary>
    public static Launch Bind(KernelLoader loader, Matrix<float> x, DenseMatrix w, Matrix<float> y)
    {
        const string Op = "dense_matmul";
        w.Check(Op, "w");
        Require.Equal(Op, "columns of x", x.Columns, "columns of w", w.Columns);
        Require.Equal(Op, "columns of y", y.Columns, "rows of w", w.Rows);
        Require.Equal(Op, "rows of y", y.Rows, "rows of x", x.Rows);
        var words = new Matrix<UInt4>(w.Data, w.Rows, w.StrideWords);
        return w.Type switch
        {
            WeightType.F32 => loader.Bind(DenseMatMulKernel<F32Weights>.DenseMatMul, new DenseMatMulKernel<F32Weights>(x, words, y)),
            WeightType.F16 => loader.Bind(DenseMatMulKernel<F16Weights>.DenseMatMul, new DenseMatMulKernel<F16Weights>(x, words, y)),
            WeightType.Bf16 => loader.Bind(DenseMatMulKernel<Bf16Weights>.DenseMatMul, new DenseMatMulKernel<Bf16Weights>(x, words, y)),
            _ => throw new NotSupportedException($"{Op}: weights of type {w.Type}"),
        };
    }
}
