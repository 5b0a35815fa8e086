using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Σ a·b + c, exact and then rounded once to float. A product of two 16-bit numbers is exact in double. The sum is first
/// attempted in double, with the rounding error of each addition computed beside it: where all errors are zero the sum is exact.
/// Otherwise it is formed again as a fixed-point number wide enough for every exponent.
/// </summary>
internal static class ExactDot
{
    private const int PairWords = 8;

    // Bits of the fixed-point number: products reach down to 2^-272 and a double's last bit 52 below, up to 16 · 2^257.
    private const int Limbs = 20;
    private const int LastBit = -340;

    /// <summary>Sixteen products of 16-bit elements, two a word.</summary>
    public static float Pairs<TFormat>(FragmentLine a, FragmentLine b, float c)
        where TFormat : struct, INumberFormat<ushort>
    {
        double sum = c;
        bool exact = true;
        for (int i = 0; i < 2 * PairWords; i++)
        {
            double next = sum + PairProduct<TFormat>(a, b, i);
            exact &= Error(sum, PairProduct<TFormat>(a, b, i), next) == 0;
            sum = next;
        }

        if (exact || !IsFinite(sum))
            return (float)sum;

        uint[] limbs = new uint[Limbs];
        Clear(limbs);
        Add(limbs, c);
        for (int i = 0; i < 2 * PairWords; i++)
            Add(limbs, PairProduct<TFormat>(a, b, i));
        return Round(limbs);
    }

    private static double PairProduct<TFormat>(FragmentLine a, FragmentLine b, int index)
        where TFormat : struct, INumberFormat<ushort>
    {
        int shift = 16 * (index & 1);
        return (double)TFormat.Load((ushort)(a.Word(index >> 1) >> shift)) * TFormat.Load((ushort)(b.Word(index >> 1) >> shift));
    }

    // What a + b lost when it was rounded to sum, exactly; NaN where the sum is not finite.
    private static double Error(double a, double b, double sum)
    {
        double bPart = sum - a;
        return (a - (sum - bPart)) + (b - bPart);
    }

    private static bool IsFinite(double value) => value - value == 0;

    private static void Clear(uint[] limbs)
    {
        for (int i = 0; i < Limbs; i++)
            limbs[i] = 0;
    }

    private static void Add(uint[] limbs, double value)
    {
        ulong bits = Interop.FloatAsInt(value);
        int exponent = (int)(bits >> 52) & 0x7ff;
        if (exponent == 0)
            return;
        ulong mantissa = (bits & 0xfffffffffffffUL) | 0x10000000000000UL;
        int place = exponent - 1075 - LastBit;
        int shift = place & 31;
        ulong low = mantissa << shift;
        ulong high = shift == 0 ? 0 : mantissa >> (64 - shift);
        long sign = (long)bits < 0 ? -1 : 1;
        long carry = 0;
        for (int i = place >> 5; i < Limbs; i++)
        {
            long digit = limbs[i] + (sign * (long)(low & 0xffffffffUL)) + carry;
            limbs[i] = (uint)digit;
            carry = digit >> 32;
            low = (low >> 32) | (high << 32);
            high >>= 32;
        }
    }

    // The leading 53 bits, the last of them set if anything follows: rounding that to a float's 24 is rounding the number itself.
    private static float Round(uint[] limbs)
    {
        bool negative = (int)limbs[Limbs - 1] < 0;
        if (negative)
            Negate(limbs);
        int top = Limbs - 1;
        while (top > 0 && limbs[top] == 0)
            top--;
        if (limbs[top] == 0)
            return 0;
        int length = 32;
        while ((limbs[top] >> (length - 1)) == 0)
            length--;

        ulong window = (ulong)limbs[top] << (64 - length);
        bool sticky = false;
        if (top > 0)
            window |= ((ulong)limbs[top - 1] << 32) >> length;
        if (top > 1)
        {
            window |= length == 32 ? 0 : (ulong)limbs[top - 2] >> length;
            sticky = (limbs[top - 2] & (uint)((1UL << length) - 1)) != 0;
        }

        for (int i = 0; i < top - 2; i++)
            sticky |= limbs[i] != 0;
        ulong mantissa = (window >> 11) | (sticky || (window & 0x7ffUL) != 0 ? 1UL : 0UL);

        int exponent = (32 * top) + length - 53 + LastBit;
        double value = (double)(long)mantissa * Interop.IntAsFloat((ulong)(exponent + 1023) << 52);
        return (float)(negative ? -value : value);
    }

    private static void Negate(uint[] limbs)
    {
        long carry = 1;
        for (int i = 0; i < Limbs; i++)
        {
            long digit = (long)(uint)~limbs[i] + carry;
            limbs[i] = (uint)digit;
            carry = digit >> 32;
        }
    }
}
