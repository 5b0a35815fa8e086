namespace QwenIlgpu.Kernels.Tests;

/// <summary>f16 and bf16 as tests define them: the runtime's Half and the upper half of a float, rounded by <see cref="Dyadic"/>.</summary>
internal static class SmallFloat
{
    private const uint NaN = 0x7fff;

    public static double ToDouble(BinaryFormat format, uint bits) => format == BinaryFormat.F16
        ? (double)BitConverter.UInt16BitsToHalf((ushort)bits)
        : BitConverter.UInt32BitsToSingle(bits << 16);

    /// <summary>Bits of a value that the format holds; one NaN stands for all.</summary>
    public static uint ToBits(BinaryFormat format, double value)
    {
        if (double.IsNaN(value))
            return NaN;
        return format == BinaryFormat.F16
            ? BitConverter.HalfToUInt16Bits((Half)value)
            : BitConverter.SingleToUInt32Bits((float)value) >> 16;
    }

    public static double Round(BinaryFormat format, double value) =>
        double.IsFinite(value) && value != 0 ? Dyadic.From(value).Round(format) : value;

    /// <summary>a·b + c rounded once; double arithmetic is right where the result is no finite number or zero.</summary>
    public static double Fma(BinaryFormat format, double a, double b, double c)
    {
        double rough = (a * b) + c;
        if (!double.IsFinite(rough))
            return rough;
        Dyadic exact = (Dyadic.From(a) * Dyadic.From(b)) + Dyadic.From(c);
        return exact.Mantissa.IsZero ? rough : exact.Round(format);
    }
}
