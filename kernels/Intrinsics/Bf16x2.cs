using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Two bf16 numbers in one word, the first in the lower half. Subnormals are kept; every operation rounds to nearest, ties to even.
/// sm_80 has the fused operation alone: a difference is it with −1, a product it with −0, which change no bit of the result.
/// </summary>
internal static class Bf16x2
{
    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("{ .reg .b32 minus; mov.b32 minus, 0xbf80bf80; fma.rn.bf16x2 $d, $1, minus, $0; }")]
    public static uint Subtract(uint a, uint b) => PairArithmetic<Bf16Format>.Subtract(a, b);

    [IntrinsicImplementation, MethodImpl(MethodImplOptions.NoInlining)]
    [Ptx("{ .reg .b32 zero; mov.b32 zero, 0x80008000; fma.rn.bf16x2 $d, $0, $1, zero; }")]
    public static uint Multiply(uint a, uint b) => PairArithmetic<Bf16Format>.Fma(a, b, 0x80008000u);

    [IntrinsicImplementation, Ptx("cvt.rn.bf16x2.f32 $d, $1, $0;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static uint Pack(float low, float high) => PairArithmetic<Bf16Format>.Pack(low, high);
}
