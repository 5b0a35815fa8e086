using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Arranged x as integers of 24 bits, for products that are summed exactly. Of each <see cref="Block"/> columns of a token the largest
/// magnitude decides the unit, a power of two: |q| ≤ 0x7f7f7f, and x − q · unit is at most half a unit, 2^-23 of that magnitude.
/// </summary>
/// <remarks>
/// Integers take the place of the floats. For INT4, 64 columns: three planes of 64 signed bytes, the digits of q to the base 256 from the
/// lowest on, in the order in which weights lie, and each lane's Σ q. For INT8, 32 columns: q = 4096 · high + low, two planes of 16 bits.
/// A block with NaN or ∞ in it has NaN as its unit.
/// </remarks>
internal static unsafe class FixedPointRows
{
    /// <summary>Columns that share a unit.</summary>
    public const int Block = 128;

    /// <summary>What the high plane of INT8's x counts.</summary>
    public const float HighUnit = 4096;

    private const int DigitBias = 0x808080;
    private const int LowBias = 0x800;

    // 2^23 / 0x7f7f7f, rounded up: with more than that much room below a power of two, three digits from −128 to 127 suffice.
    private const float Room = 1.004f;

    // Units of 2^-112 and more keep units and scales far from subnormal floats. Smaller x are as good as 0.
    private const int LeastExponent = -90;

    public static int Blocks(int columns) => (columns + Block - 1) / Block;

    /// <summary>Converts tokens that <see cref="LaneOrder"/> arranged. units: [tokens, blocks].</summary>
    public static void Convert(float* arranged, int tokens, int columns, CpuWeightKind kind, float* units)
    {
        for (int token = 0; token < tokens; token++)
        {
            for (int start = 0; start < columns; start += Block)
            {
                float* x = arranged + ((long)(start / LaneOrder.Stretch * tokens + token) * LaneOrder.Stretch) + (start % LaneOrder.Stretch);
                int count = columns - start > LaneOrder.Block ? Block : LaneOrder.Block;
                int exponent = Exponent(x, count);
                float perUnit = PowerOfTwo(22 - exponent);
                for (int i = 0; i < count; i += LaneOrder.Block)
                {
                    if (kind == CpuWeightKind.Int4)
                        ToDigits(x + i, perUnit);
                    else
                        ToHalves(x + i, perUnit);
                }

                *units++ = exponent > 127 ? float.NaN : PowerOfTwo(exponent - 22);
            }
        }
    }

    private static float PowerOfTwo(int exponent) => BitConverter.Int32BitsToSingle((exponent + 127) << 23);

    // Of the largest magnitude, and a little; 128 where it is ∞ or NaN.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int Exponent(float* x, int count)
    {
        Vector512<int> most = default;
        for (int i = 0; i < count; i += CpuVectors.Width)
            most = Vector512.Max(most, Vector512.LoadAligned((int*)x + i) & Vector512.Create(int.MaxValue));
        Vector256<int> half = Vector256.Max(most.GetLower(), most.GetUpper());
        Vector128<int> quarter = Vector128.Max(half.GetLower(), half.GetUpper());
        int bits = Math.Max(Math.Max(quarter.GetElement(0), quarter.GetElement(1)), Math.Max(quarter.GetElement(2), quarter.GetElement(3)));
        int withRoom = BitConverter.SingleToInt32Bits(BitConverter.Int32BitsToSingle(bits) * Room);
        return Math.Max((withRoom >> 23 & 0xff) - 127, LeastExponent);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ToDigits(float* x, float perUnit)
    {
        Vector512<int> q0 = Rounded(x, perUnit);
        Vector512<int> q1 = Rounded(x + 16, perUnit);
        Vector512<int> q2 = Rounded(x + 32, perUnit);
        Vector512<int> q3 = Rounded(x + 48, perUnit);
        (q0 + q1 + q2 + q3).StoreAligned((int*)x + 48);
        var bias = Vector512.Create(DigitBias);
        q0 = (q0 + bias) ^ bias;
        q1 = (q1 + bias) ^ bias;
        q2 = (q2 + bias) ^ bias;
        q3 = (q3 + bias) ^ bias;
        Digit(q0, q1, q2, q3).StoreAligned((int*)x);
        Digit(q0 >>> 8, q1 >>> 8, q2 >>> 8, q3 >>> 8).StoreAligned((int*)x + 16);
        Digit(q0 >>> 16, q1 >>> 16, q2 >>> 16, q3 >>> 16).StoreAligned((int*)x + 32);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ToHalves(float* x, float perUnit)
    {
        var low = Vector512.Create(0xffff);
        var digit = Vector512.Create(0xfff);
        var bias = Vector512.Create(LowBias);
        for (float* end = x + LaneOrder.Block; x < end; x += Int8Layout.TileColumns)
        {
            Vector512<int> q0 = Rounded(x, perUnit) + bias;
            Vector512<int> q1 = Rounded(x + 16, perUnit) + bias;
            ((q0 >> 12 & low) | (q1 >> 12 << 16)).StoreAligned((int*)x);
            q0 = (q0 & digit) - bias;
            q1 = (q1 & digit) - bias;
            ((q0 & low) | (q1 << 16)).StoreAligned((int*)x + 16);
        }
    }

    // The lowest bytes of four words side by side in one.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Digit(Vector512<int> a, Vector512<int> b, Vector512<int> c, Vector512<int> d)
    {
        var low = Vector512.Create(0xff);
        return (a & low) | ((b & low) << 8) | ((c & low) << 16) | (d << 24);
    }

    // To the nearest integer, ties to even.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Rounded(float* x, float perUnit)
    {
        Vector512<float> scaled = Vector512.LoadAligned(x) * Vector512.Create(perUnit);
        return Avx512F.IsSupported
            ? Avx512F.ConvertToVector512Int32(scaled)
            : Vector512.Create(Avx.ConvertToVector256Int32(scaled.GetLower()), Avx.ConvertToVector256Int32(scaled.GetUpper()));
    }
}
