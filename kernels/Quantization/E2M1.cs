using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>Four-bit floats: 0, 0.5, 1, 1.5, 2, 3, 4, 6, and with bit 3 their negatives.</summary>
internal static class E2M1
{
    /// <summary>The value of the lowest four bits.</summary>
    public static float ToFloat(uint bits)
    {
        uint magnitude = bits & 7u;
        float value = magnitude < 2 ? 0.5f * magnitude : Interop.IntAsFloat((magnitude << 22) + (126u << 23));
        return (bits & 8u) == 0 ? value : -value;
    }
}

/// <summary>Eight-bit floats of four exponent and three mantissa bits: ±448 at most, 2^-9 at least, no infinity; 0x7f and 0xff are no scales.</summary>
internal static class E4M3
{
    private const float SmallestStep = 1f / 512;

    /// <summary>The value of the lowest eight bits.</summary>
    public static float ToFloat(uint bits)
    {
        uint magnitude = bits & 0x7fu;
        float value = magnitude < 8 ? SmallestStep * magnitude : Interop.IntAsFloat((magnitude << 20) + (120u << 23));
        return (bits & 0x80u) == 0 ? value : -value;
    }
}
