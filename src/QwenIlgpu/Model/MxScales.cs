using System.Buffers.Binary;

namespace QwenIlgpu;

/// <summary>
/// The powers of two of MXFP4 as E4M3 numbers times one power of two, exactly, where they lie within E4M3's range of each other: 2^-9 … 2^8.
/// Groups of nothing but zeros may have any scale, and get zero.
/// </summary>
internal static class MxScales
{
    private const int GroupBytes = 16;
    private const int Bias = 127;
    private const byte NotANumber = 0xff;
    private const int LeastPower = -9;
    private const int LargestPower = 8;

    /// <summary>The scales in E4M3 and what they are times, or null where they spread too far.</summary>
    /// <exception cref="InvalidDataException">A scale is NaN.</exception>
    public static (byte[] Scales, float Global)? ToE4M3(ReadOnlySpan<byte> exponents, ReadOnlySpan<byte> codes, string place)
    {
        int largest = int.MinValue;
        int least = int.MaxValue;
        for (int i = 0; i < exponents.Length; i++)
        {
            if (exponents[i] == NotANumber)
                throw new InvalidDataException($"{place} holds NaN at element {i}: the weights are damaged; fetch the file again");
            if (IsZero(codes, i))
                continue;
            largest = Math.Max(largest, exponents[i]);
            least = Math.Min(least, exponents[i]);
        }

        if (largest - (long)least > LargestPower - LeastPower)
            return null;
        var scales = new byte[exponents.Length];
        for (int i = 0; i < scales.Length; i++)
            scales[i] = IsZero(codes, i) ? (byte)0 : PowerOfTwo(exponents[i] - largest + LargestPower);
        return (scales, largest == int.MinValue ? 1 : MathF.ScaleB(1, largest - Bias - LargestPower));
    }

    // 2^power in E4M3: below 2^-6 a subnormal number of 2^-9.
    private static byte PowerOfTwo(int power) => power < -6 ? (byte)(1 << (power - LeastPower)) : (byte)((power + 7) << 3);

    private static bool IsZero(ReadOnlySpan<byte> codes, int group)
    {
        ReadOnlySpan<byte> bytes = codes.Slice(group * GroupBytes, GroupBytes);
        const ulong Magnitudes = 0x7777777777777777;
        return ((BinaryPrimitives.ReadUInt64LittleEndian(bytes) | BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..])) & Magnitudes) == 0;
    }
}
