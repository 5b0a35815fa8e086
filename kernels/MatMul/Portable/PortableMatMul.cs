namespace QwenIlgpu.Kernels;

/// <summary>
/// y = x · Wᵀ with weights of any format, accumulated in float. Where it takes fixed point, which decode steps do, CPU shares may round x
/// to 24 bits of the largest of 128 neighbours and sum integers of integer weights: faster for a token, slower for a prompt.
/// </summary>
internal static class PortableMatMul
{
    /// <summary>x: [M, K]; w: [N, K]; y: [M, N]. A row of y has the same bits whatever M is.</summary>
    public static Launch Bind(KernelLoader loader, Matrix<float> x, WeightMatrix w, Matrix<float> y, bool takesFixedPoint = false)
    {
        string op = w.IsDense ? "dense_matmul" : "dequant_matmul";
        w.Check(op, "w");
        Require.Equal(op, "columns of x", x.Columns, "columns of w", w.Columns);
        Require.Equal(op, "columns of y", y.Columns, "rows of w", w.Rows);
        Require.Equal(op, "rows of y", y.Rows, "rows of x", x.Rows);
        return (w.Format, w.Type) switch
        {
            (WeightFormat.Int4, WeightType.F16) => BindInt4<F16Format>(),
            (WeightFormat.Int4, _) => BindInt4<Bf16Format>(),
            (WeightFormat.Int8, WeightType.F16) => Bind(new Int8Weights<F16Format>(w), takesFixedPoint),
            (WeightFormat.Int8, _) => Bind(new Int8Weights<Bf16Format>(w), takesFixedPoint),
            (WeightFormat.Fp4, _) => Bind(new Fp4Weights(w)),
            (WeightFormat.Fp8, _) => Bind(new Fp8Weights(w)),
            (_, WeightType.F32) => Bind(new DenseWeights<F32Weights>(w)),
            (_, WeightType.F16) => Bind(new DenseWeights<F16Weights>(w)),
            (_, WeightType.Bf16) => Bind(new DenseWeights<Bf16Weights>(w)),
            _ => throw new NotSupportedException($"{op}: weights of type {w.Type}"),
        };

        Launch BindInt4<TScale>()
            where TScale : struct, INumberFormat<ushort> => w.IsSymmetric
                ? Bind(new Int4Weights<TScale, SymmetricZero>(w), takesFixedPoint)
                : Bind(new Int4Weights<TScale, StoredZero>(w), takesFixedPoint);

        Launch Bind<TWeights>(TWeights weights, bool inFixedPoint = false)
            where TWeights : struct, IMatMulWeights => loader.Bind(
                MatMulKernel<TWeights>.MatMul, new MatMulKernel<TWeights>(x, weights, y),
                inFixedPoint ? (thread, threads) => CpuMatMul.Run(thread, threads, x, weights.ForCpu(), y, inFixedPoint: true) : null);
    }
}
