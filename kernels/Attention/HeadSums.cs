using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>A lane's eight dimensions of up to eight heads: running sums of weighted values.</summary>
internal struct HeadSums
{
    public const int MaxHeads = 8;

    public Float8 H0;
    public Float8 H1;
    public Float8 H2;
    public Float8 H3;
    public Float8 H4;
    public Float8 H5;
    public Float8 H6;
    public Float8 H7;

    /// <summary>Each head's sums times its factor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HeadSums Scaled(HeadSums sums, Float4 low, Float4 high)
    {
        sums.H0 = Scale(sums.H0, low.X);
        sums.H1 = Scale(sums.H1, low.Y);
        sums.H2 = Scale(sums.H2, low.Z);
        sums.H3 = Scale(sums.H3, low.W);
        sums.H4 = Scale(sums.H4, high.X);
        sums.H5 = Scale(sums.H5, high.Y);
        sums.H6 = Scale(sums.H6, high.Z);
        sums.H7 = Scale(sums.H7, high.W);
        return sums;
    }

    /// <summary>Adds a token's value, eight bf16, with each head's weight.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HeadSums Add(HeadSums sums, UInt4 value, Float4 low, Float4 high)
    {
        var v = new Float8(
            new Float4(Even(value.X), Odd(value.X), Even(value.Y), Odd(value.Y)),
            new Float4(Even(value.Z), Odd(value.Z), Even(value.W), Odd(value.W)));
        sums.H0 = Add(sums.H0, v, low.X);
        sums.H1 = Add(sums.H1, v, low.Y);
        sums.H2 = Add(sums.H2, v, low.Z);
        sums.H3 = Add(sums.H3, v, low.W);
        sums.H4 = Add(sums.H4, v, high.X);
        sums.H5 = Add(sums.H5, v, high.Y);
        sums.H6 = Add(sums.H6, v, high.Z);
        sums.H7 = Add(sums.H7, v, high.W);
        return sums;
    }

    /// <summary>Adds to, or begins, what other warps left: words of four floats, <paramref name="headWords"/> a head.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void AddTo(ArrayView<Float4> shared, int word, int headWords, bool begins)
    {
        AddTo(shared, H0, word, begins);
        AddTo(shared, H1, word + headWords, begins);
        AddTo(shared, H2, word + (2 * headWords), begins);
        AddTo(shared, H3, word + (3 * headWords), begins);
        AddTo(shared, H4, word + (4 * headWords), begins);
        AddTo(shared, H5, word + (5 * headWords), begins);
        AddTo(shared, H6, word + (6 * headWords), begins);
        AddTo(shared, H7, word + (7 * headWords), begins);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddTo(ArrayView<Float4> shared, Float8 sum, int word, bool begins)
    {
        Float4 low = sum.Low;
        Float4 high = sum.High;
        if (!begins)
        {
            low += shared[word];
            high += shared[word + 1];
        }

        shared[word] = low;
        shared[word + 1] = high;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float8 Scale(Float8 sum, float factor) => new(sum.Low * factor, sum.High * factor);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float8 Add(Float8 sum, Float8 value, float weight) =>
        new(sum.Low + (value.Low * weight), sum.High + (value.High * weight));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Even(uint pair) => Interop.IntAsFloat(pair << 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Odd(uint pair) => Interop.IntAsFloat(pair & 0xffff0000u);
}
