using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Two f16 numbers in one word, the first in the lower half. Subnormals are kept; every operation rounds to nearest, ties to even.
/// </summary>
internal static class F16x2
{
    [IntrinsicImplementation, Ptx("sub.rn.f16x2 $d, $0, $1;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static uint Subtract(uint a, uint b) => PairArithmetic<F16Format>.Subtract(a, b);

    /// <summary>a·b + c, rounded once.</summary>
    [IntrinsicImplementation, Ptx("fma.rn.f16x2 $d, $0, $1, $2;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static uint Fma(uint a, uint b, uint c) => PairArithmetic<F16Format>.Fma(a, b, c);

    [IntrinsicImplementation, Ptx("cvt.rn.f16x2.f32 $d, $1, $0;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static uint Pack(float low, float high) => PairArithmetic<F16Format>.Pack(low, high);

    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("{ .reg .b16 low, high; mov.b32 {low, high}, $0; cvt.f32.f16 $d, low; }")]
    public static float Low(uint pair) => F16.ToFloat((ushort)pair);

    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("{ .reg .b16 low, high; mov.b32 {low, high}, $0; cvt.f32.f16 $d, high; }")]
    public static float High(uint pair) => F16.ToFloat((ushort)(pair >> 16));
}
