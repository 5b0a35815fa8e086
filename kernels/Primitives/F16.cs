using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>IEEE binary16 as its 16 bits, converted with integer operations so that every accelerator agrees.</summary>
internal static class F16
{
    public static float ToFloat(ushort bits)
    {
        uint sign = (uint)(bits & 0x8000) << 16;
        uint magnitude = (uint)(bits & 0x7fff);
        if (magnitude >= 0x7c00u)                       // infinity or NaN: widen the exponent field
            return Interop.IntAsFloat(sign | 0x7f800000u | (magnitude << 13));

        // Placing the 15 bits in a float's field scales the value by 2^-112; the product undoes it, subnormals included.
        return Interop.IntAsFloat(sign | Interop.FloatAsInt(Interop.IntAsFloat(magnitude << 13) * Interop.IntAsFloat(0x77800000u)));
    }
}
