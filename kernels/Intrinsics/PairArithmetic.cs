namespace QwenIlgpu.Kernels;

/// <summary>
/// Arithmetic on two 16-bit numbers in one word, each rounded once. Sums are formed in float, whose 24 bits are at least twice those of a
/// half and two more: rounding such a sum again is rounding the exact one.
/// </summary>
internal static class PairArithmetic<TFormat>
    where TFormat : struct, INumberFormat<ushort>
{
    public static uint Fma(uint a, uint b, uint c)
    {
        uint low = ExactFma.Half<TFormat>((ushort)a, (ushort)b, (ushort)c);
        uint high = ExactFma.Half<TFormat>((ushort)(a >> 16), (ushort)(b >> 16), (ushort)(c >> 16));
        return low | (high << 16);
    }

    public static uint Subtract(uint a, uint b) =>
        Pack(TFormat.Load((ushort)a) - TFormat.Load((ushort)b), TFormat.Load((ushort)(a >> 16)) - TFormat.Load((ushort)(b >> 16)));

    public static uint Pack(float low, float high) => HalfNaN.FromFloat<TFormat>(low) | (HalfNaN.FromFloat<TFormat>(high) << 16);
}
