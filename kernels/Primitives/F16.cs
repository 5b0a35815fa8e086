using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>IEEE binary16 as its 16 bits, converted with integer operations so that every accelerator agrees.</summary>
internal static class F16
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float ToFloat(ushort bits)
    {
        uint sign = (uint)(bits & 0x8000) << 16;
        uint magnitude = (uint)(bits & 0x7fff);
        if (magnitude >= 0x7c00u)                       // infinity or NaN: widen the exponent field
            return Interop.IntAsFloat(sign | 0x7f800000u | (magnitude << 13));

        // Placing the 15 bits in a float's field scales the value by 2^-112; the product undoes it, subnormals included.
        return Interop.IntAsFloat(sign | Interop.FloatAsInt(Interop.IntAsFloat(magnitude << 13) * Interop.IntAsFloat(0x77800000u)));
    }

    /// <summary>Rounds to nearest, ties to even; beyond 65504 to infinity. NaN stays NaN.</summary>
    public static ushort FromFloat(float value)
    {
        uint bits = Interop.FloatAsInt(value);
        uint sign = (bits >> 16) & 0x8000u;
        uint magnitude = bits & 0x7fffffffu;
        if (magnitude > 0x7f800000u)
            return (ushort)(sign | 0x7e00u);
        if (magnitude >= 0x477ff000u)                   // 65520, half a step above the largest
            return (ushort)(sign | 0x7c00u);
        if (magnitude < 0x38800000u)                    // below 2^-14 the steps are 2^-24: adding 0.5 rounds to them
            return (ushort)(sign | (Interop.FloatAsInt(Interop.IntAsFloat(magnitude) + 0.5f) - 0x3f000000u));
        return (ushort)(sign | ((magnitude + 0xfffu + ((magnitude >> 13) & 1u) - 0x38000000u) >> 13));
    }
}
