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
        return w.Type switch
        {
            WeightType.F32 => MatMul.Bind(loader, x, new DenseWeights<F32Weights>(w), y),
            WeightType.F16 => MatMul.Bind(loader, x, new DenseWeights<F16Weights>(w), y),
            WeightType.Bf16 => MatMul.Bind(loader, x, new DenseWeights<Bf16Weights>(w), y),
            _ => throw new NotSupportedException($"{Op}: weights of type {w.Type}"),
        };
    }
}
