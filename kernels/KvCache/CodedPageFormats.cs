using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A format whose codes become bf16 operands of tensor cores in registers. An operand is code − <see cref="Centre"/> + <see cref="Excess"/>,
/// exactly. Elements come in eights of neighbours, which lie in the first words of a <see cref="UInt2"/>.
/// </summary>
internal interface ICodedPageFormat : IPageFormat
{
    /// <summary>Eights in a word of sixteen bytes.</summary>
    static abstract int WordEights { get; }

    /// <summary>The code that sums are taken around, so that neither they nor what is taken off them is large.</summary>
    static abstract float Centre { get; }

    /// <summary>What an operand is too large by; sums of weighted operands are too large by that times the sum of their weights.</summary>
    static abstract float Excess { get; }

    /// <summary>The first eight of a word.</summary>
    static abstract UInt2 FirstEight(UInt4 word);

    /// <summary>The word with its second eight first.</summary>
    static abstract UInt4 NextEight(UInt4 word);

    /// <summary>Operands of an eight, two neighbours of k a word, in the order of <see cref="InOperandOrder"/>.</summary>
    static abstract UInt4 OfRow(UInt2 eight);

    /// <summary>Eight numbers in the order in which <see cref="OfRow"/> gives operands.</summary>
    static abstract Float8 InOperandOrder(Float8 eight);

    /// <summary>Operands of the same eight of two rows, in the order of the elements: a word has the first row's and the second row's.</summary>
    static abstract OperandEight OfRows(UInt2 first, UInt2 second);

    /// <summary>Scales and zeros of tokens 4 · four to 4 · four + 3 as they are stored, a word each.</summary>
    static abstract UInt4 LoadFour(ArrayView<UInt4> scales, int four);

    /// <summary>The scale of a token's word.</summary>
    static abstract float Scale(uint stored);

    /// <summary>What the centre stands for: scale · centre + zero. stored: a token's word; scale: its scale.</summary>
    static abstract float AtCentre(uint stored, float scale);
}

/// <summary>Operands of eight elements, a word each.</summary>
internal readonly struct OperandEight(UInt4 low, UInt4 high)
{
    public readonly UInt4 Low = low;
    public readonly UInt4 High = high;
}

/// <summary>Four 16-bit words, loaded at once.</summary>
internal readonly struct UShort4(ushort x, ushort y, ushort z, ushort w)
{
    public readonly ushort X = x;
    public readonly ushort Y = y;
    public readonly ushort Z = z;
    public readonly ushort W = w;
}

internal readonly unsafe partial struct Int8PageFormat : ICodedPageFormat
{
    public static int WordEights => 2;

    public static float Centre => 0;

    public static float Excess => 0;

    public static UInt2 FirstEight(UInt4 word) => new(word.X, word.Y);

    public static UInt4 NextEight(UInt4 word) => new(word.Z, word.W, word.X, word.Y);

    public static UInt4 OfRow(UInt2 eight) =>
        new(EvenBytes(eight.X), EvenBytes(eight.X >> 8), EvenBytes(eight.Y), EvenBytes(eight.Y >> 8));

    public static Float8 InOperandOrder(Float8 eight) => new(ByTwo(eight.Low), ByTwo(eight.High));

    public static OperandEight OfRows(UInt2 first, UInt2 second) => new(OfRows(first.X, second.X), OfRows(first.Y, second.Y));

    public static UInt4 LoadFour(ArrayView<UInt4> scales, int four)
    {
        UShort4 stored = scales.Cast<UShort4>()[four];
        return new UInt4(stored.X, stored.Y, stored.Z, stored.W);
    }

    public static float Scale(uint stored) => F16x2.Low(stored);

    public static float AtCentre(uint stored, float scale) => 0;

    private static Float4 ByTwo(Float4 x) => new(x.X, x.Z, x.Y, x.W);

    private static UInt4 OfRows(uint first, uint second)
    {
        uint low = Bits.Permute(first, second, 0x5410);
        uint high = Bits.Permute(first, second, 0x7632);
        return new UInt4(EvenBytes(low), EvenBytes(low >> 8), EvenBytes(high), EvenBytes(high >> 8));
    }

    // Bytes 0 and 2: 128 + their last seven bits, less 128, or less 256 where the sign is set.
    private static uint EvenBytes(uint word) =>
        Bf16x2.Subtract(Bits.SevenBitsToBf16x2(word), Bits.SignsToBf16x2(word));
}

internal readonly unsafe partial struct Int4PageFormat : ICodedPageFormat
{
    public static int WordEights => 4;

    public static float Centre => Middle;

    // A nibble in the upper four of a bf16's seven bits is what an exponent of 16 is raised by.
    public static float Excess => 16 + Centre;

    public static UInt2 FirstEight(UInt4 word) => new(word.X, 0);

    public static UInt4 NextEight(UInt4 word) => new(word.Y, word.Z, word.W, word.X);

    public static UInt4 OfRow(UInt2 eight) => OfHalves(eight.X);

    public static Float8 InOperandOrder(Float8 eight) => new(
        new Float4(eight.Low.X, eight.High.X, eight.Low.Y, eight.High.Y), new Float4(eight.Low.Z, eight.High.Z, eight.Low.W, eight.High.W));

    public static OperandEight OfRows(UInt2 first, UInt2 second) =>
        new(OfHalves(Bits.Permute(first.X, second.X, 0x5410)), OfHalves(Bits.Permute(first.X, second.X, 0x7632)));

    public static UInt4 LoadFour(ArrayView<UInt4> scales, int four) => scales[four];

    public static float Scale(uint stored) => F16x2.Low(stored);

    public static float AtCentre(uint stored, float scale) => Float32.Fma(scale, Centre, F16x2.High(stored));

    // The four nibbles of the lower half, each beside that of the upper one.
    private static UInt4 OfHalves(uint word) => new(
        Bits.MiddleNibblesToBf16x2(word << 3), Bits.MiddleNibblesToBf16x2(word >> 1),
        Bits.MiddleNibblesToBf16x2(word >> 5), Bits.MiddleNibblesToBf16x2(word >> 9));
}
