using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Scores of a warp's 16 rows and 64 keys, or the weights that become of them: eight m16n8 fragments. Lane 4g + t holds keys 2t and
/// 2t + 1 of every eight, of row g (X, Y) and of row g + 8 (Z, W).
/// </summary>
internal readonly struct ScoreTile(Float4 k0, Float4 k8, Float4 k16, Float4 k24, Float4 k32, Float4 k40, Float4 k48, Float4 k56)
{
    public readonly Float4 K0 = k0;
    public readonly Float4 K8 = k8;
    public readonly Float4 K16 = k16;
    public readonly Float4 K24 = k24;
    public readonly Float4 K32 = k32;
    public readonly Float4 K40 = k40;
    public readonly Float4 K48 = k48;
    public readonly Float4 K56 = k56;

    /// <summary>queries: 16 × 16; keys: 16 dimensions of 64 keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScoreTile MultiplyAdd(ScoreTile s, UInt4 queries, OperandFragments keys) => new(
        Mma.Bf16(queries, new UInt2(keys.N0.X, keys.N0.Y), s.K0),
        Mma.Bf16(queries, new UInt2(keys.N0.Z, keys.N0.W), s.K8),
        Mma.Bf16(queries, new UInt2(keys.N16.X, keys.N16.Y), s.K16),
        Mma.Bf16(queries, new UInt2(keys.N16.Z, keys.N16.W), s.K24),
        Mma.Bf16(queries, new UInt2(keys.N32.X, keys.N32.Y), s.K32),
        Mma.Bf16(queries, new UInt2(keys.N32.Z, keys.N32.W), s.K40),
        Mma.Bf16(queries, new UInt2(keys.N48.X, keys.N48.Y), s.K48),
        Mma.Bf16(queries, new UInt2(keys.N48.Z, keys.N48.W), s.K56));

    /// <summary>
    /// Scores of products with codes, s · scale + total · zero. scales: the lane's pairs of 32, then of as many zeros where there are any;
    /// above, below: totals of the queries' rows g and g + 8.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScoreTile OfCodes<TFormat>(ScoreTile s, ArrayView<Float2> scales, float above, float below)
        where TFormat : struct, ITensorCoreFormat
    {
        s = Scaled(s, scales);
        if (!TFormat.HasZeros)
            return s;
        return new ScoreTile(
            Added(s.K0, scales[32], above, below),
            Added(s.K8, scales[36], above, below),
            Added(s.K16, scales[40], above, below),
            Added(s.K24, scales[44], above, below),
            Added(s.K32, scales[48], above, below),
            Added(s.K40, scales[52], above, below),
            Added(s.K48, scales[56], above, below),
            Added(s.K56, scales[60], above, below));
    }

    /// <summary>Each key's column times its scale.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScoreTile Scaled(ScoreTile s, ArrayView<Float2> scales) => new(
        Scaled(s.K0, scales[0]),
        Scaled(s.K8, scales[4]),
        Scaled(s.K16, scales[8]),
        Scaled(s.K24, scales[12]),
        Scaled(s.K32, scales[16]),
        Scaled(s.K40, scales[20]),
        Scaled(s.K48, scales[24]),
        Scaled(s.K56, scales[28]));

    /// <summary>−∞ for the keys behind a row's own; key: the lane's first of each eight; above, below: keys of rows g and g + 8.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScoreTile Masked(ScoreTile s, int key, int above, int below) => new(
        Masked(s.K0, key, above, below),
        Masked(s.K8, key + 8, above, below),
        Masked(s.K16, key + 16, above, below),
        Masked(s.K24, key + 24, above, below),
        Masked(s.K32, key + 32, above, below),
        Masked(s.K40, key + 40, above, below),
        Masked(s.K48, key + 48, above, below),
        Masked(s.K56, key + 56, above, below));

    /// <summary>The lane's largest of row g.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxAbove(ScoreTile s) => XMath.Max(
        XMath.Max(
            XMath.Max(XMath.Max(s.K0.X, s.K0.Y), XMath.Max(s.K8.X, s.K8.Y)),
            XMath.Max(XMath.Max(s.K16.X, s.K16.Y), XMath.Max(s.K24.X, s.K24.Y))),
        XMath.Max(
            XMath.Max(XMath.Max(s.K32.X, s.K32.Y), XMath.Max(s.K40.X, s.K40.Y)),
            XMath.Max(XMath.Max(s.K48.X, s.K48.Y), XMath.Max(s.K56.X, s.K56.Y))));

    /// <summary>The lane's largest of row g + 8.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxBelow(ScoreTile s) => XMath.Max(
        XMath.Max(
            XMath.Max(XMath.Max(s.K0.Z, s.K0.W), XMath.Max(s.K8.Z, s.K8.W)),
            XMath.Max(XMath.Max(s.K16.Z, s.K16.W), XMath.Max(s.K24.Z, s.K24.W))),
        XMath.Max(
            XMath.Max(XMath.Max(s.K32.Z, s.K32.W), XMath.Max(s.K40.Z, s.K40.W)),
            XMath.Max(XMath.Max(s.K48.Z, s.K48.W), XMath.Max(s.K56.Z, s.K56.W))));

    /// <summary>2^(score − maximum).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ScoreTile Weights(ScoreTile s, float above, float below) => new(
        Weights(s.K0, above, below),
        Weights(s.K8, above, below),
        Weights(s.K16, above, below),
        Weights(s.K24, above, below),
        Weights(s.K32, above, below),
        Weights(s.K40, above, below),
        Weights(s.K48, above, below),
        Weights(s.K56, above, below));

    /// <summary>The lane's sum of row g.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float SumAbove(ScoreTile s) =>
        (((s.K0.X + s.K0.Y) + (s.K8.X + s.K8.Y)) + ((s.K16.X + s.K16.Y) + (s.K24.X + s.K24.Y))) +
        (((s.K32.X + s.K32.Y) + (s.K40.X + s.K40.Y)) + ((s.K48.X + s.K48.Y) + (s.K56.X + s.K56.Y)));

    /// <summary>The lane's sum of row g + 8.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float SumBelow(ScoreTile s) =>
        (((s.K0.Z + s.K0.W) + (s.K8.Z + s.K8.W)) + ((s.K16.Z + s.K16.W) + (s.K24.Z + s.K24.W))) +
        (((s.K32.Z + s.K32.W) + (s.K40.Z + s.K40.W)) + ((s.K48.Z + s.K48.W) + (s.K56.Z + s.K56.W)));

    /// <summary>The lane's Σ weight · zero of row g (X) and of row g + 8 (Y). scales: as for <see cref="OfCodes"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float2 Zeros(ScoreTile s, ArrayView<Float2> scales)
    {
        Float2 sums = default;
        sums = Zeros(s.K0, scales[32], sums);
        sums = Zeros(s.K8, scales[36], sums);
        sums = Zeros(s.K16, scales[40], sums);
        sums = Zeros(s.K24, scales[44], sums);
        sums = Zeros(s.K32, scales[48], sums);
        sums = Zeros(s.K40, scales[52], sums);
        sums = Zeros(s.K48, scales[56], sums);
        return Zeros(s.K56, scales[60], sums);
    }

    /// <summary>Two fragments side by side, rounded to bf16, are the A operand of their sixteen keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static UInt4 Operand(Float4 left, Float4 right) => new(
        Bf16x2.Pack(left.X, left.Y), Bf16x2.Pack(left.Z, left.W), Bf16x2.Pack(right.X, right.Y), Bf16x2.Pack(right.Z, right.W));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 Scaled(Float4 s, Float2 scale) => new(s.X * scale.X, s.Y * scale.Y, s.Z * scale.X, s.W * scale.Y);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 Added(Float4 s, Float2 zero, float above, float below) => new(
        Float32.Fma(zero.X, above, s.X), Float32.Fma(zero.Y, above, s.Y), Float32.Fma(zero.X, below, s.Z), Float32.Fma(zero.Y, below, s.W));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float2 Zeros(Float4 weights, Float2 zero, Float2 sums) => new(
        Float32.Fma(weights.Y, zero.Y, Float32.Fma(weights.X, zero.X, sums.X)),
        Float32.Fma(weights.W, zero.Y, Float32.Fma(weights.Z, zero.X, sums.Y)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 Masked(Float4 s, int key, int above, int below) => new(
        key <= above ? s.X : float.NegativeInfinity,
        key + 1 <= above ? s.Y : float.NegativeInfinity,
        key <= below ? s.Z : float.NegativeInfinity,
        key + 1 <= below ? s.W : float.NegativeInfinity);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 Weights(Float4 s, float above, float below) =>
        new(Float32.Exp2(s.X - above), Float32.Exp2(s.Y - above), Float32.Exp2(s.Z - below), Float32.Exp2(s.W - below));
}

/// <summary>B operands of eight m16n8k16 products, as four ldmatrix give them.</summary>
internal readonly struct OperandFragments(UInt4 n0, UInt4 n16, UInt4 n32, UInt4 n48)
{
    public readonly UInt4 N0 = n0;
    public readonly UInt4 N16 = n16;
    public readonly UInt4 N32 = n32;
    public readonly UInt4 N48 = n48;
}
