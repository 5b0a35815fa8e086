using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// a·b + c rounded once, for operands whose product is exact in double. The sum is rounded to odd first: the nearest value if it is
/// exact or odd in its last bit, else the neighbour on the side of what was lost. Rounding that further is rounding the sum itself.
/// </summary>
internal static class ExactFma
{
    /// <summary>f32, rounded to nearest, ties to even.</summary>
    public static float Float(float a, float b, float c)
    {
        double product = (double)a * b;
        double sum = product + c;
        double error = Error(product, c, sum);
        ulong bits = Interop.FloatAsInt(sum);
        if (error != 0 && sum - sum == 0 && (bits & 1) == 0)
            bits += (error > 0) == (sum > 0) ? 1UL : 0xffffffffffffffffUL;
        return (float)Interop.IntAsFloat(bits);
    }

    /// <summary>A 16-bit format, rounded to nearest, ties to even; NaN is 0x7fff, as the hardware has it.</summary>
    public static ushort Half<TFormat>(ushort a, ushort b, ushort c)
        where TFormat : struct, INumberFormat<ushort>
    {
        double product = (double)TFormat.Load(a) * TFormat.Load(b);
        double addend = TFormat.Load(c);
        double sum = product + addend;
        double error = Error(product, addend, sum);
        float rounded = (float)sum;
        if (HalfNaN.IsNaN(rounded))
            return HalfNaN.Bits;
        double lost = sum - rounded;
        double rest = lost != 0 ? lost : error;
        uint bits = Interop.FloatAsInt(rounded);
        if (rest != 0 && sum - sum == 0 && (bits & 1) == 0)
            bits += (rest > 0) == (sum > 0) ? 1u : 0xffffffffu;
        return TFormat.Store(Interop.IntAsFloat(bits));
    }

    // What a + b lost when it was rounded to sum, exactly.
    private static double Error(double a, double b, double sum)
    {
        double bPart = sum - a;
        return (a - (sum - bPart)) + (b - bPart);
    }
}

/// <summary>The one NaN that 16-bit arithmetic and conversions of the hardware give.</summary>
internal static class HalfNaN
{
    public const ushort Bits = 0x7fff;

    /// <summary>Rounds to nearest, ties to even.</summary>
    public static uint FromFloat<TFormat>(float value)
        where TFormat : struct, INumberFormat<ushort> => IsNaN(value) ? Bits : TFormat.Store(value);

    public static bool IsNaN(float value) => (Interop.FloatAsInt(value) & 0x7fffffffu) > 0x7f800000u;
}
