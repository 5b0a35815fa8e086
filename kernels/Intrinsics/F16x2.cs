using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Two f16 numbers in one word, the first in the lower half. Subnormals are kept; every operation rounds to nearest, ties to even.
/// </summary>
[EmulatedBy(typeof(F16x2Emulation))]
internal static class F16x2
{
    [IntrinsicImplementation, Ptx("add.rn.f16x2 $d, $0, $1;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static uint Add(uint a, uint b) => F16x2Emulation.Add(a, b);

    [IntrinsicImplementation, Ptx("sub.rn.f16x2 $d, $0, $1;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static uint Subtract(uint a, uint b) => F16x2Emulation.Subtract(a, b);

    [IntrinsicImplementation, Ptx("mul.rn.f16x2 $d, $0, $1;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static uint Multiply(uint a, uint b) => F16x2Emulation.Multiply(a, b);

    /// <summary>a·b + c, rounded once.</summary>
    [IntrinsicImplementation, Ptx("fma.rn.f16x2 $d, $0, $1, $2;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static uint Fma(uint a, uint b, uint c) => F16x2Emulation.Fma(a, b, c);

    [IntrinsicImplementation, Ptx("cvt.rn.f16x2.f32 $d, $1, $0;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static uint Pack(float low, float high) => F16x2Emulation.Pack(low, high);

    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("{ .reg .b16 low, high; mov.b32 {low, high}, $0; cvt.f32.f16 $d, low; }")]
    public static float Low(uint pair) => F16x2Emulation.Low(pair);

    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("{ .reg .b16 low, high; mov.b32 {low, high}, $0; cvt.f32.f16 $d, high; }")]
    public static float High(uint pair) => F16x2Emulation.High(pair);
}

/// <summary>What <see cref="F16x2"/> does, exactly.</summary>
internal static class F16x2Emulation
{
    public static uint Add(uint a, uint b) => PairArithmetic<F16Format>.Add(a, b);

    public static uint Subtract(uint a, uint b) => PairArithmetic<F16Format>.Subtract(a, b);

    public static uint Multiply(uint a, uint b) => PairArithmetic<F16Format>.Multiply(a, b);

    public static uint Fma(uint a, uint b, uint c) => PairArithmetic<F16Format>.Fma(a, b, c);

    public static uint Pack(float low, float high) => PairArithmetic<F16Format>.Pack(low, high);

    public static float Low(uint pair) => F16.ToFloat((ushort)pair);

    public static float High(uint pair) => F16.ToFloat((ushort)(pair >> 16));
}
