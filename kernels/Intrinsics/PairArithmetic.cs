namespace QwenIlgpu.Kernels;

/// <summary>Arithmetic on two 16-bit numbers in one word, each rounded once.</summary>
internal static class PairArithmetic<TFormat>
    where TFormat : struct, INumberFormat<ushort>
{
    public static uint Fma(uint a, uint b, uint c)
    {
        uint low = ExactFma.Half<TFormat>((ushort)a, (ushort)b, (ushort)c);
        uint high = ExactFma.Half<TFormat>((ushort)(a >> 16), (ushort)(b >> 16), (ushort)(c >> 16));
        return low | (high << 16);
    }

    public static uint Add(uint a, uint b) => Fma(a, Both(1), b);

    public static uint Subtract(uint a, uint b) => Fma(b, Both(-1), a);

    /// <summary>Minus zero is what changes no product, not even the sign of a zero.</summary>
    public static uint Multiply(uint a, uint b) => Fma(a, b, 0x80008000u);

    public static uint Pack(float low, float high) => HalfNaN.FromFloat<TFormat>(low) | (HalfNaN.FromFloat<TFormat>(high) << 16);

    private static uint Both(float value)
    {
        uint bits = TFormat.Store(value);
        return bits | (bits << 16);
    }
}
