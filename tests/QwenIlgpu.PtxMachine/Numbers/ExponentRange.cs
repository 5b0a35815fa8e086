using System.Runtime.Intrinsics;

namespace QwenIlgpu.PtxMachine.Numbers;

/// <summary>What the exponents of some numbers say of them: all are multiples of 2^Unit, and smaller than 2^Top.</summary>
internal readonly record struct ExponentRange(int Unit, int Top, bool IsFinite)
{
    // Zeros are multiples of anything: they bound no sum from either side, nor does anything's product with them.
    private const int Anything = 1 << 16;

    /// <summary>Sixteen-bit numbers, two a word; the words are a multiple of 16.</summary>
    public static ExponentRange OfHalves<TFormat>(ReadOnlySpan<uint> words)
        where TFormat : struct, IHalfLanes
    {
        Vector512<ushort> greatest = Vector512<ushort>.Zero;
        Vector512<ushort> leastLessOne = Vector512<ushort>.AllBitsSet;
        for (int i = 0; i < words.Length; i += Vector512<uint>.Count)
        {
            Vector512<ushort> magnitude = Lanes.Load(words, i).AsUInt16() & Vector512.Create((ushort)0x7fff);
            greatest = Vector512.Max(greatest, magnitude);
            leastLessOne = Vector512.Min(leastLessOne, magnitude - Vector512<ushort>.One);
        }

        Vector256<ushort> most = Vector256.Max(greatest.GetLower(), greatest.GetUpper());
        Vector256<ushort> least = Vector256.Min(leastLessOne.GetLower(), leastLessOne.GetUpper());
        Vector128<ushort> tops = Vector128.Max(most.GetLower(), most.GetUpper());
        Vector128<ushort> bottoms = Vector128.Min(least.GetLower(), least.GetUpper());
        uint top = 0;
        uint bottom = ushort.MaxValue;
        for (int i = 0; i < Vector128<ushort>.Count; i++)
        {
            top = Math.Max(top, tops[i]);
            bottom = Math.Min(bottom, bottoms[i]);
        }

        return Of(top, bottom + 1, TFormat.FractionBits, TFormat.FractionBits, TFormat.Bias);
    }

    /// <summary>Floats; the words are a multiple of 16.</summary>
    public static ExponentRange OfFloats(ReadOnlySpan<uint> words) => OfWords(words, uint.MaxValue, 23);

    /// <summary>Floats without the bits that tf32 ignores; the words are a multiple of 16.</summary>
    public static ExponentRange OfTf32(ReadOnlySpan<uint> words) => OfWords(words, TensorCore.Tf32Mask, 10);

    private static ExponentRange OfWords(ReadOnlySpan<uint> words, uint mask, int fractionBits)
    {
        Vector512<uint> greatest = Vector512<uint>.Zero;
        Vector512<uint> leastLessOne = Vector512<uint>.AllBitsSet;
        for (int i = 0; i < words.Length; i += Vector512<uint>.Count)
        {
            Vector512<uint> magnitude = Lanes.Load(words, i) & Vector512.Create(mask & 0x7fffffffu);
            greatest = Vector512.Max(greatest, magnitude);
            leastLessOne = Vector512.Min(leastLessOne, magnitude - Vector512<uint>.One);
        }

        Vector256<uint> most = Vector256.Max(greatest.GetLower(), greatest.GetUpper());
        Vector256<uint> least = Vector256.Min(leastLessOne.GetLower(), leastLessOne.GetUpper());
        uint top = 0;
        uint bottom = uint.MaxValue;
        for (int i = 0; i < Vector256<uint>.Count; i++)
        {
            top = Math.Max(top, most[i]);
            bottom = Math.Min(bottom, least[i]);
        }

        return Of(top, bottom + 1, 23, fractionBits, 127);
    }

    // Magnitudes as bits: the exponent field above `field` bits, the last set bit that there may be `fractionBits` below the first.
    private static ExponentRange Of(uint greatest, uint least, int field, int fractionBits, int bias)
    {
        if (greatest == 0)
            return new ExponentRange(Anything, -Anything, true);
        int high = (int)(greatest >> field);
        int low = (int)(least >> field);
        return new ExponentRange(Math.Max(low, 1) - bias - fractionBits, Math.Max(high, 1) - bias + 1, high <= 2 * bias);
    }
}
