using System.Numerics;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>A number m · 2^e of any size: sums and products are exact, and rounded when asked.</summary>
internal readonly record struct Dyadic(BigInteger Mantissa, int Exponent)
{
    public static readonly Dyadic Zero = new(0, 0);

    public static Dyadic From(double value)
    {
        long bits = BitConverter.DoubleToInt64Bits(value);
        int field = (int)(bits >> 52) & 0x7ff;
        if (field == 0x7ff)
            throw new ArgumentException($"{value} is not finite");
        long fraction = bits & 0xfffffffffffff;
        BigInteger mantissa = field == 0 ? fraction : fraction | (1L << 52);
        return new Dyadic(bits < 0 ? -mantissa : mantissa, Math.Max(field, 1) - 1075);
    }

    public static Dyadic operator +(Dyadic a, Dyadic b)
    {
        int exponent = Math.Min(a.Exponent, b.Exponent);
        return new Dyadic((a.Mantissa << (a.Exponent - exponent)) + (b.Mantissa << (b.Exponent - exponent)), exponent);
    }

    public static Dyadic operator *(Dyadic a, Dyadic b) => new(a.Mantissa * b.Mantissa, a.Exponent + b.Exponent);

    /// <summary>To nearest, ties to even, in a binary format.</summary>
    public double Round(BinaryFormat format)
    {
        BigInteger magnitude = BigInteger.Abs(Mantissa);
        int last = Math.Max(Exponent + (int)magnitude.GetBitLength() - format.Bits, format.LastExponent);
        int dropped = last - Exponent;
        if (dropped > 0)
        {
            BigInteger rest = magnitude & ((BigInteger.One << dropped) - 1);
            BigInteger half = BigInteger.One << (dropped - 1);
            magnitude >>= dropped;
            if (rest > half || (rest == half && !magnitude.IsEven))
                magnitude += 1;
        }
        else
        {
            last = Exponent;
        }

        double rounded = Math.ScaleB((double)magnitude, last);
        if (rounded > format.Largest)
            rounded = double.PositiveInfinity;
        return Mantissa.Sign < 0 ? -rounded : rounded;
    }
}

/// <summary>A binary floating-point format: significant bits, exponent of the last subnormal bit, largest number.</summary>
internal sealed record BinaryFormat(int Bits, int LastExponent, double Largest)
{
    public static readonly BinaryFormat F16 = new(11, -24, 65504);
    public static readonly BinaryFormat Bf16 = new(8, -133, 3.3895313892515355e38);
    public static readonly BinaryFormat F32 = new(24, -149, float.MaxValue);
}
