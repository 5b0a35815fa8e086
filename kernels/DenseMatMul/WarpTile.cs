namespace QwenIlgpu.Kernels;

/// <summary>Accumulators of 16 × 32 outputs of one warp: four m16n8 fragments side by side.</summary>
internal readonly struct FragmentRow(Float4 n0, Float4 n8, Float4 n16, Float4 n24)
{
    public readonly Float4 N0 = n0;
    public readonly Float4 N8 = n8;
    public readonly Float4 N16 = n16;
    public readonly Float4 N24 = n24;

    /// <summary>a: 16 × 16; left and right: the B fragments of columns 0 … 15 and 16 … 31, each as ldmatrix gives two of them.</summary>
    public FragmentRow MultiplyAdd<TOperand>(UInt4 a, UInt4 left, UInt4 right)
        where TOperand : struct, ITensorCoreOperand => new(
            TOperand.MultiplyAdd(a, new UInt2(left.X, left.Y), N0),
            TOperand.MultiplyAdd(a, new UInt2(left.Z, left.W), N8),
            TOperand.MultiplyAdd(a, new UInt2(right.X, right.Y), N16),
            TOperand.MultiplyAdd(a, new UInt2(right.Z, right.W), N24));
}

/// <summary>Accumulators of one warp: 32 × 32 outputs.</summary>
internal readonly struct WarpTile(FragmentRow m0, FragmentRow m16)
{
    public readonly FragmentRow M0 = m0;
    public readonly FragmentRow M16 = m16;

    public WarpTile MultiplyAdd<TOperand>(UInt4 above, UInt4 below, UInt4 left, UInt4 right)
        where TOperand : struct, ITensorCoreOperand =>
        new(M0.MultiplyAdd<TOperand>(above, left, right), M16.MultiplyAdd<TOperand>(below, left, right));
}
