using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// E4M3 (F8_E4M3FN) as its 8 bits: sign, four of exponent, three of mantissa; no infinities. Whoever takes codes in has refused the two
/// that are NaN, 0x7f and 0xff, which read as ±480 here.
/// </summary>
internal static class Fp8
{
    /// <summary>The seven bits in a float's field are the value times 2^-120; the product undoes it, exactly, subnormals included.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float ToFloat(uint code) =>
        Interop.IntAsFloat(((code & 0x7fu) << 20) | ((code & 0x80u) << 24)) * Interop.IntAsFloat(0x7b800000u);
}
