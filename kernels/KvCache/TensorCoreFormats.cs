using System.Runtime.CompilerServices;

namespace QwenIlgpu.Kernels;

/// <summary>A page format whose numbers, before scale and zero, are bf16 numbers: tensor cores multiply them as they are.</summary>
internal interface ITensorCoreFormat : IPageFormat
{
    /// <summary>Whether zeros may be other than 0.</summary>
    static abstract bool HasZeros { get; }

    /// <summary>Elements 8 · eight to 8 · eight + 7 of a word of a row, without scale and zero, as bf16 in pairs.</summary>
    static abstract UInt4 ToBf16(UInt4 word, int eight);
}

internal readonly unsafe partial struct Bf16PageFormat : ITensorCoreFormat
{
    public static bool HasZeros => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static UInt4 ToBf16(UInt4 word, int eight) => word;
}

internal readonly unsafe partial struct Int8PageFormat : ITensorCoreFormat
{
    public static bool HasZeros => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static UInt4 ToBf16(UInt4 word, int eight)
    {
        uint low = eight == 0 ? word.X : word.Z;
        uint high = eight == 0 ? word.Y : word.W;
        return new UInt4(
            Pair(Bits.Permute(low, low, 0x1100)), Pair(Bits.Permute(low, low, 0x3322)),
            Pair(Bits.Permute(high, high, 0x1100)), Pair(Bits.Permute(high, high, 0x3322)));
    }

    // 128 + a byte's last seven bits, less 128, or less 256 where its sign is set.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Pair(uint bytes) => Bf16x2.Subtract(Bits.SevenBitsToBf16x2(bytes), Bits.SignsToBf16x2(bytes));
}

internal readonly unsafe partial struct Int4PageFormat : ITensorCoreFormat
{
    public static bool HasZeros => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static UInt4 ToBf16(UInt4 word, int eight)
    {
        uint even = eight == 0 ? word.X : eight == 1 ? word.Y : eight == 2 ? word.Z : word.W;
        uint odd = even >> 4;
        return new UInt4(
            Pair(Bits.Permute(even, odd, 0x4400)), Pair(Bits.Permute(even, odd, 0x5511)),
            Pair(Bits.Permute(even, odd, 0x6622)), Pair(Bits.Permute(even, odd, 0x7733)));
    }

    // 128 + nibble, less 136.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Pair(uint nibbles) => Bf16x2.Subtract(Bits.LowNibblesToBf16x2(nibbles), 0x43084308u);
}
