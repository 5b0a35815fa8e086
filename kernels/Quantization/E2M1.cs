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
