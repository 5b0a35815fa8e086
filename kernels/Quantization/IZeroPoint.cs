using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>Where the zero points of INT4 groups come from. A base is what a reader subtracts from a code behind the float 2^23.</summary>
internal interface IZeroPoint
{
    /// <summary>The base of the row and group whose scale has that index among the matrix's.</summary>
    static abstract float Base(ArrayView<byte> zeros, long scaleIndex);

    /// <summary>A word's nibble as the weight before its scale, exactly.</summary>
    static abstract float Unpack(uint word, int nibble, float zeroBase);
}

/// <summary>Every zero point is 8, a constant of the code; nothing is read.</summary>
internal readonly struct SymmetricZero : IZeroPoint
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Base(ArrayView<byte> zeros, long scaleIndex) => Int4Layout.CodeBase + Int4Layout.Zero;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Unpack(uint word, int nibble, float zeroBase) =>
        Int4Layout.Unpack(word, nibble, Int4Layout.CodeBase + Int4Layout.Zero);
}

/// <summary>A byte for each row and group.</summary>
internal readonly struct StoredZero : IZeroPoint
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Base(ArrayView<byte> zeros, long scaleIndex) => Int4Layout.CodeBase + zeros[scaleIndex];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Unpack(uint word, int nibble, float zeroBase) => Int4Layout.Unpack(word, nibble, zeroBase);
}
