using System.Numerics;

namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>A multiple of 2^-300 without any rounding, to say what one rounding of it must give.</summary>
internal readonly record struct ExactNumber(BigInteger Units)
{
    private const int UnitExponent = -300;

    public static ExactNumber Of(double value) => new(new BigInteger(Math.ScaleB(value, -UnitExponent)));

    public static ExactNumber operator +(ExactNumber a, ExactNumber b) => new(a.Units + b.Units);

    public static ExactNumber operator -(ExactNumber a, ExactNumber b) => new(a.Units - b.Units);

    public ExactNumber Magnitude => new(BigInteger.Abs(Units));

    /// <summary>The bits of the nearest number of a binary format, ties to even; of zero those of +0.</summary>
    public uint Round(int fractionBits, int bias)
    {
        BigInteger magnitude = BigInteger.Abs(Units);
        if (magnitude.IsZero)
            return 0;
        int exponent = (int)magnitude.GetBitLength() - 1 + UnitExponent;
        int last = Math.Max(exponent, 1 - bias) - fractionBits;
        BigInteger step = BigInteger.One << (last - UnitExponent);
        BigInteger count = BigInteger.DivRem(magnitude, step, out BigInteger remainder);
        int half = (2 * remainder).CompareTo(step);
        if (half > 0 || (half == 0 && !count.IsEven))
            count++;
        uint bits = ((uint)(last + fractionBits + bias - 1) << fractionBits) + (uint)count;
        uint infinity = (uint)((2 * bias) + 1) << fractionBits;
        uint sign = Units.Sign < 0 ? (infinity | ((1u << fractionBits) - 1)) + 1 : 0;
        return Math.Min(bits, infinity) | sign;
    }

    public uint RoundToFloat() => Round(23, 127);
}
