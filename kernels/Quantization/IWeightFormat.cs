using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// How eight consecutive weights of a row come out of its 16-byte words: one word of 16-bit elements, or two of floats. A caller asks
/// for the word of the first four, then for the word of the last four, which may be the same one.
/// </summary>
internal interface IWeightFormat
{
    /// <summary>The word that holds weights 8·octet … 8·octet + 3.</summary>
    static abstract UInt4 FirstWord(ArrayView<UInt4> row, int octet);

    /// <summary>The word that holds weights 8·octet + 4 … 8·octet + 7; zeros where a float row ends before.</summary>
    static abstract UInt4 SecondWord(ArrayView<UInt4> row, int octet, UInt4 firstWord);

    /// <summary>The first four weights.</summary>
    static abstract Float4 First(UInt4 firstWord);

    /// <summary>The last four weights.</summary>
    static abstract Float4 Second(UInt4 secondWord);

    /// <summary>Weight k of a row.</summary>
    static abstract float At(ArrayView<UInt4> row, int k);
}

internal readonly struct F32Weights : IWeightFormat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static UInt4 FirstWord(ArrayView<UInt4> row, int octet) => row[2 * octet];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static UInt4 SecondWord(ArrayView<UInt4> row, int octet, UInt4 firstWord) =>
        (2 * octet) + 1 < row.Length ? row[(2 * octet) + 1] : default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 First(UInt4 firstWord) => new(
        Interop.IntAsFloat(firstWord.X), Interop.IntAsFloat(firstWord.Y), Interop.IntAsFloat(firstWord.Z), Interop.IntAsFloat(firstWord.W));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 Second(UInt4 secondWord) => First(secondWord);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float At(ArrayView<UInt4> row, int k) => Interop.IntAsFloat(Int4Layout.Word(row[k >> 2], k & 3));
}

internal readonly struct F16Weights : IWeightFormat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static UInt4 FirstWord(ArrayView<UInt4> row, int octet) => row[octet];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static UInt4 SecondWord(ArrayView<UInt4> row, int octet, UInt4 firstWord) => firstWord;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 First(UInt4 firstWord) => Pairs(firstWord.X, firstWord.Y);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 Second(UInt4 secondWord) => Pairs(secondWord.Z, secondWord.W);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float At(ArrayView<UInt4> row, int k) =>
        F16.ToFloat((ushort)(Int4Layout.Word(row[k >> 3], (k >> 1) & 3) >> (16 * (k & 1))));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 Pairs(uint a, uint b) => new(
        F16.ToFloat((ushort)a), F16.ToFloat((ushort)(a >> 16)), F16.ToFloat((ushort)b), F16.ToFloat((ushort)(b >> 16)));
}

internal readonly struct Bf16Weights : IWeightFormat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static UInt4 FirstWord(ArrayView<UInt4> row, int octet) => row[octet];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static UInt4 SecondWord(ArrayView<UInt4> row, int octet, UInt4 firstWord) => firstWord;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 First(UInt4 firstWord) => Pairs(firstWord.X, firstWord.Y);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 Second(UInt4 secondWord) => Pairs(secondWord.Z, secondWord.W);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float At(ArrayView<UInt4> row, int k) =>
        Bf16.ToFloat((ushort)(Int4Layout.Word(row[k >> 3], (k >> 1) & 3) >> (16 * (k & 1))));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 Pairs(uint a, uint b) => new(
        Interop.IntAsFloat(a << 16), Interop.IntAsFloat(a & 0xffff0000u), Interop.IntAsFloat(b << 16), Interop.IntAsFloat(b & 0xffff0000u));
}
