using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>bfloat16 as its 16 bits: the upper half of a float.</summary>
internal static class Bf16
{
    public static float ToFloat(ushort bits) => Interop.IntAsFloat((uint)bits << 16);

    /// <summary>Rounds to nearest, ties to even. NaN stays NaN.</summary>
    public static ushort FromFloat(float value)
    {
        uint bits = Interop.FloatAsInt(value);
        if ((bits & 0x7fffffffu) > 0x7f800000u)
            return (ushort)((bits >> 16) | 0x40u);
        return (ushort)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
    }
}
