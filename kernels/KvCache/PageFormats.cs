using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// How keys, or values, of one kv head lie in a page: the type parameter by which one kernel serves every type of cache. A block holds the
/// rows of 64 tokens, then their scales where there are any; a stored number c stands for scale · c + zero.
/// </summary>
internal unsafe interface IPageFormat
{
    /// <summary>Whether numbers are codes with a scale per row. Such rows are turned by <see cref="Hadamard"/> before they are stored.</summary>
    static abstract bool IsQuantized { get; }

    /// <summary>Head sizes are multiples of this: rows consist of words of sixteen bytes.</summary>
    static abstract int DimStep { get; }

    /// <summary>Bytes of a token's scale; 0 for none.</summary>
    static abstract int ScaleBytes { get; }

    /// <summary>Bytes of so many neighbouring elements of a row.</summary>
    static abstract int RowBytes(int elements);

    /// <summary>Elements 8 · eight to 8 · eight + 7 as they are stored, without scale and zero.</summary>
    static abstract Float8 Load(ArrayView<UInt4> row, int eight);

    /// <summary>Scale and zero of a token. scales: what lies behind the rows of a block, see <see cref="PageBlock.Scales"/>.</summary>
    static abstract Float2 LoadScale(ArrayView<UInt4> scales, int token);

    /// <summary>The scale of a row whose elements lie between two numbers; where either is NaN, one that makes the row NaN.</summary>
    static abstract PageScale ScaleOf(float least, float most);

    /// <summary>Stores elements 8 · eight to 8 · eight + 7 of a row of this scale.</summary>
    static abstract void Store(ArrayView<UInt4> row, int eight, Float8 values, PageScale scale);

    static abstract void StoreScale(ArrayView<UInt4> scales, int token, PageScale scale);

    /// <summary>By a thread of a CPU: a row of so many elements, which lie between two numbers.</summary>
    static abstract void Store(float* values, byte* row, int count, PageScale scale);

    /// <summary>By a thread of a CPU: scales and zeros of the first tokens of a block, and of as many behind them as fill a vector.</summary>
    static abstract void LoadScales(byte* stored, int tokens, float* scales, float* zeros);

    /// <summary>By a thread of a CPU: the first of the two vectors that 32 neighbouring elements become.</summary>
    static abstract Vector512<float> First(byte* elements);

    static abstract Vector512<float> Second(byte* elements);

    /// <summary>Where in its 32 elements element i of the two vectors is; queries and sums lie in the same order.</summary>
    static abstract int ElementOf(int i);

    /// <summary>What is taken from a code of <see cref="KeyCodes"/> and <see cref="ValueCodes"/> to make it a number of <see cref="Load"/>.</summary>
    static virtual int CodeMiddle => throw NotQuantized;

    /// <summary>By a thread of a CPU with AVX-512: 64 neighbouring codes of a row.</summary>
    static virtual void KeyCodes(byte* elements, out Vector512<short> a, out Vector512<short> b) => throw NotQuantized;

    /// <summary>Where in its 64 elements code i of those vectors is.</summary>
    static virtual int KeyElementOf(int i) => throw NotQuantized;

    /// <summary>By a thread of a CPU with AVX-512: 64 neighbouring codes of two rows, an element's two side by side.</summary>
    static virtual void ValueCodes(
        byte* first, byte* second, out Vector512<short> a, out Vector512<short> b, out Vector512<short> c, out Vector512<short> d) => throw NotQuantized;

    /// <summary>Where in its 64 elements pair i of those vectors is.</summary>
    static virtual int ValueElementOf(int i) => throw NotQuantized;

    private static NotSupportedException NotQuantized => new("pages of floats hold no codes");
}

/// <summary>A row's scale and zero as they are stored, and 1 / scale, 0 where the scale is 0.</summary>
internal readonly struct PageScale(float scale, float zero)
{
    public readonly float Scale = scale;
    public readonly float Zero = zero;
    public readonly float Inverse = scale == 0 ? 0 : Float32.Reciprocal(scale);
}

/// <summary>Four floats a word; on a CPU sixteen and the next sixteen.</summary>
internal readonly unsafe struct F32PageFormat : IPageFormat
{
    public static bool IsQuantized => false;

    public static int DimStep => 8;

    public static int ScaleBytes => 0;

    public static int RowBytes(int elements) => elements * sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float8 Load(ArrayView<UInt4> row, int eight) => new(Floats(row[2 * eight]), Floats(row[(2 * eight) + 1]));

    public static Float2 LoadScale(ArrayView<UInt4> scales, int token) => new(1, 0);

    public static PageScale ScaleOf(float least, float most) => new(1, 0);

    public static void Store(ArrayView<UInt4> row, int eight, Float8 values, PageScale scale)
    {
        ArrayView<Float4> words = row.Cast<Float4>();
        words[2 * eight] = values.Low;
        words[(2 * eight) + 1] = values.High;
    }

    public static void StoreScale(ArrayView<UInt4> scales, int token, PageScale scale)
    {
    }

    public static void Store(float* values, byte* row, int count, PageScale scale) =>
        new Span<float>(values, count).CopyTo(new Span<float>(row, count));

    public static void LoadScales(byte* stored, int tokens, float* scales, float* zeros)
    {
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> First(byte* elements) => Vector512.Load((float*)elements);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Second(byte* elements) => Vector512.Load((float*)elements + CpuVectors.Width);

    public static int ElementOf(int i) => i;

    private static Float4 Floats(UInt4 word) =>
        new(Interop.IntAsFloat(word.X), Interop.IntAsFloat(word.Y), Interop.IntAsFloat(word.Z), Interop.IntAsFloat(word.W));
}

/// <summary>
/// Eight bfloat16 a word, the earlier of two in the lower half; on a CPU the even ones, then the odd: a word of two becomes either by one
/// instruction.
/// </summary>
internal readonly unsafe partial struct Bf16PageFormat : IPageFormat
{
    public static bool IsQuantized => false;

    public static int DimStep => 8;

    public static int ScaleBytes => 0;

    public static int RowBytes(int elements) => elements * sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float8 Load(ArrayView<UInt4> row, int eight)
    {
        UInt4 word = row[eight];
        return new Float8(
            new Float4(Even(word.X), Odd(word.X), Even(word.Y), Odd(word.Y)), new Float4(Even(word.Z), Odd(word.Z), Even(word.W), Odd(word.W)));
    }

    public static Float2 LoadScale(ArrayView<UInt4> scales, int token) => new(1, 0);

    public static PageScale ScaleOf(float least, float most) => new(1, 0);

    public static void Store(ArrayView<UInt4> row, int eight, Float8 values, PageScale scale) => row[eight] = new UInt4(
        Pair(values.Low.X, values.Low.Y), Pair(values.Low.Z, values.Low.W), Pair(values.High.X, values.High.Y), Pair(values.High.Z, values.High.W));

    public static void StoreScale(ArrayView<UInt4> scales, int token, PageScale scale)
    {
    }

    public static void Store(float* values, byte* row, int count, PageScale scale) => Bf16Share.Round(values, (ushort*)row, count);

    public static void LoadScales(byte* stored, int tokens, float* scales, float* zeros)
    {
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> First(byte* elements) => (Vector512.Load((uint*)elements) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Second(byte* elements) => (Vector512.Load((uint*)elements) & Vector512.Create(0xffff0000u)).AsSingle();

    public static int ElementOf(int i) => (i % CpuVectors.Width * 2) + (i / CpuVectors.Width);

    private static uint Pair(float low, float high) => Bf16.FromFloat(low) | ((uint)Bf16.FromFloat(high) << 16);

    private static float Even(uint pair) => Interop.IntAsFloat(pair << 16);

    private static float Odd(uint pair) => Interop.IntAsFloat(pair & 0xffff0000u);
}
