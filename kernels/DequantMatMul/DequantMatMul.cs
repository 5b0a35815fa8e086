using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>y = x · Wᵀ with quantised weights, accumulated in float.</summary>
internal static class DequantMatMul
{
    private const string Op = "dequant_matmul";

    /// <summary>x: [M, K]; w: INT4 [N, K]; y: [M, N]. A row of y has the same bits whatever M is.</summary>
    public static Launch Bind(KernelLoader loader, Matrix<float> x, Int4Matrix w, Matrix<float> y)
    {
        w.Check(Op, "w");
        CheckShapes(x, w.Rows, w.Columns, y);
        if (w.GroupSize % Int4Layout.TileColumns != 0)
        {
            return w.IsSymmetric
                ? Bind<Int4HalfTiles<SymmetricZero>>(loader, x, w.Codes, w.Scales, w.Zeros, w.ScaleType, w.GroupSize, y)
                : Bind<Int4HalfTiles<StoredZero>>(loader, x, w.Codes, w.Scales, w.Zeros, w.ScaleType, w.GroupSize, y);
        }

        return w.ScaleType == WeightType.F16 ? BindScaled<F16Format>(loader, x, w, y) : BindScaled<Bf16Format>(loader, x, w, y);
    }

    /// <summary>x: [M, K]; w: INT8 [N, K]; y: [M, N]. A row of y has the same bits whatever M is.</summary>
    public static Launch Bind(KernelLoader loader, Matrix<float> x, Int8Matrix w, Matrix<float> y)
    {
        w.Check(Op, "w");
        CheckShapes(x, w.Rows, w.Columns, y);
        return Bind<Int8Tiles>(loader, x, w.Codes, w.Scales, default, w.ScaleType, w.GroupSize, y);
    }

    private static void CheckShapes(Matrix<float> x, int rows, int columns, Matrix<float> y)
    {
        Require.Equal(Op, "columns of x", x.Columns, "columns of w", columns);
        Require.Equal(Op, "columns of y", y.Columns, "rows of w", rows);
        Require.Equal(Op, "rows of y", y.Rows, "rows of x", x.Rows);
    }

    private static Launch BindScaled<TScale>(KernelLoader loader, Matrix<float> x, Int4Matrix w, Matrix<float> y)
        where TScale : struct, INumberFormat<ushort> =>
        w.IsSymmetric ? Bind<TScale, SymmetricZero>(loader, x, w, y) : Bind<TScale, StoredZero>(loader, x, w, y);

    private static Launch Bind<TScale, TZero>(KernelLoader loader, Matrix<float> x, Int4Matrix w, Matrix<float> y)
        where TScale : struct, INumberFormat<ushort>
        where TZero : struct, IZeroPoint =>
        loader.Bind(
            DequantMatMulKernel<TScale, TZero, DequantIndices>.DequantMatMul,
            new DequantMatMulKernel<TScale, TZero, DequantIndices>(x, w.Codes, w.Scales, w.Zeros, w.GroupSize, y));

    private static Launch Bind<TTiles>(
        KernelLoader loader,
        Matrix<float> x,
        ArrayView<UInt4> codes,
        ArrayView<ushort> scales,
        ArrayView<byte> zeros,
        WeightType scaleType,
        int groupSize,
        Matrix<float> y)
        where TTiles : struct, ITileFormat =>
        scaleType == WeightType.F16
            ? loader.Bind(
                HalfTileMatMulKernel<TTiles, F16Format, DequantIndices>.HalfTileMatMul,
                new HalfTileMatMulKernel<TTiles, F16Format, DequantIndices>(x, codes, scales, zeros, groupSize, y))
            : loader.Bind(
                HalfTileMatMulKernel<TTiles, Bf16Format, DequantIndices>.HalfTileMatMul,
                new HalfTileMatMulKernel<TTiles, Bf16Format, DequantIndices>(x, codes, scales, zeros, groupSize, y));
}
