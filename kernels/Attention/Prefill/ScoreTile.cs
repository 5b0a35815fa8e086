using System.Runtime.CompilerServices;
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

    /// <summary>Two fragments side by side, rounded to bf16, are the A operand of their sixteen keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static UInt4 Operand(Float4 left, Float4 right) => new(
        Bf16x2.Pack(left.X, left.Y), Bf16x2.Pack(left.Z, left.W), Bf16x2.Pack(right.X, right.Y), Bf16x2.Pack(right.Z, right.W));

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
