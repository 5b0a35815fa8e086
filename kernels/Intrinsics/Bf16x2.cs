using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Two bf16 numbers in one word, the first in the lower half. Subnormals are kept; every operation rounds to nearest, ties to even.
/// sm_80 has the fused operation alone: the others are it with 1, −1 or −0, which changes no bit of the result.
/// </summary>
[EmulatedBy(typeof(Bf16x2Emulation))]
internal static class Bf16x2
{
    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("{ .reg .b32 one; mov.b32 one, 0x3f803f80; fma.rn.bf16x2 $d, $0, one, $1; }")]
    public static uint Add(uint a, uint b) => Bf16x2Emulation.Add(a, b);

    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("{ .reg .b32 minus; mov.b32 minus, 0xbf80bf80; fma.rn.bf16x2 $d, $1, minus, $0; }")]
    public static uint Subtract(uint a, uint b) => Bf16x2Emulation.Subtract(a, b);

    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("{ .reg .b32 zero; mov.b32 zero, 0x80008000; fma.rn.bf16x2 $d, $0, $1, zero; }")]
    public static uint Multiply(uint a, uint b) => Bf16x2Emulation.Multiply(a, b);

    /// <summary>a·b + c, rounded once.</summary>
    [IntrinsicImplementation, Ptx("fma.rn.bf16x2 $d, $0, $1, $2;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static uint Fma(uint a, uint b, uint c) => Bf16x2Emulation.Fma(a, b, c);

    [IntrinsicImplementation, Ptx("cvt.rn.bf16x2.f32 $d, $1, $0;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static uint Pack(float low, float high) => Bf16x2Emulation.Pack(low, high);
}

/// <summary>What <see cref="Bf16x2"/> does, exactly.</summary>
internal static class Bf16x2Emulation
{
    public static uint Add(uint a, uint b) => PairArithmetic<Bf16Format>.Add(a, b);

    public static uint Subtract(uint a, uint b) => PairArithmetic<Bf16Format>.Subtract(a, b);

    public static uint Multiply(uint a, uint b) => PairArithmetic<Bf16Format>.Multiply(a, b);

    public static uint Fma(uint a, uint b, uint c) => PairArithmetic<Bf16Format>.Fma(a, b, c);

    public static uint Pack(float low, float high) => PairArithmetic<Bf16Format>.Pack(low, high);
}
