using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.IR.Intrinsics;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Fused multiply-add, and the approximations of the special function unit, which take subnormal numbers as zero and give zero for
/// results below 2^-126. Their bodies round the exact value; hardware is off by no more than the errors stated here.
/// </summary>
internal static class Float32
{
    /// <summary>Bound of |Exp2(x) / 2^x − 1|: two units in the last place.</summary>
    public const double Exp2RelativeError = 1.0 / (1 << 22);

    /// <summary>Bound of |Rsqrt(x) · √x − 1|: two units in the last place.</summary>
    public const double RsqrtRelativeError = 1.0 / (1 << 22);

    /// <summary>Bound of |Reciprocal(x) · x − 1|: one unit in the last place.</summary>
    public const double ReciprocalRelativeError = 1.0 / (1 << 23);

    private const uint Sign = 0x80000000u;
    private const uint SmallestNormal = 0x00800000u;

    /// <summary>a·b + c, rounded once.</summary>
    [IntrinsicImplementation, Ptx("fma.rn.f32 $d, $0, $1, $2;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static float Fma(float a, float b, float c) => ExactFma.Float(a, b, c);

    /// <summary>a·b + c, each rounded once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 Fma(Float4 a, float b, Float4 c) => new(
        Fma(a.X, b, c.X), Fma(a.Y, b, c.Y), Fma(a.Z, b, c.Z), Fma(a.W, b, c.W));

    /// <summary>2^x.</summary>
    [IntrinsicImplementation, Ptx("ex2.approx.ftz.f32 $d, $0;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static float Exp2(float x) => FlushSubnormal((float)XMath.Exp2((double)FlushSubnormal(x)));

    /// <summary>1 / √x.</summary>
    [IntrinsicImplementation, Ptx("rsqrt.approx.ftz.f32 $d, $0;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static float Rsqrt(float x) => FlushSubnormal((float)(1 / XMath.Sqrt((double)FlushSubnormal(x))));

    /// <summary>1 / x.</summary>
    [IntrinsicImplementation, Ptx("rcp.approx.ftz.f32 $d, $0;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static float Reciprocal(float x) => FlushSubnormal((float)(1 / (double)FlushSubnormal(x)));

    private static float FlushSubnormal(float value)
    {
        uint bits = Interop.FloatAsInt(value);
        return (bits & ~Sign) < SmallestNormal ? Interop.IntAsFloat(bits & Sign) : value;
    }
}
