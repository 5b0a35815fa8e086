using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A row's 32 floats of one thread of a group of 256: words of four, 256 words apart. All loads are on their way before one is used. The
/// order in which a row's squares are summed is here alone, so that every kernel that normalises a row has the same bits.
/// </summary>
internal struct RowChunk
{
    /// <summary>Threads of a group.</summary>
    public const int GroupSize = 256;

    /// <summary>Words of four floats that a group takes at once.</summary>
    public const int Words = WordsPerThread * GroupSize;

    private const int WordsPerThread = 8;
    private const int Warps = GroupSize / 32;

    public Float4 V0;
    public Float4 V1;
    public Float4 V2;
    public Float4 V3;
    public Float4 V4;
    public Float4 V5;
    public Float4 V6;
    public Float4 V7;

    /// <summary>The words from start on; zeros past the row's end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static RowChunk Load(ArrayView<Float4> row, int start)
    {
        int at = start + Group.IdxX;
        RowChunk chunk = default;
        chunk.V0 = Word(row, at);
        chunk.V1 = Word(row, at + GroupSize);
        chunk.V2 = Word(row, at + (2 * GroupSize));
        chunk.V3 = Word(row, at + (3 * GroupSize));
        chunk.V4 = Word(row, at + (4 * GroupSize));
        chunk.V5 = Word(row, at + (5 * GroupSize));
        chunk.V6 = Word(row, at + (6 * GroupSize));
        chunk.V7 = Word(row, at + (7 * GroupSize));
        return chunk;
    }

    /// <summary>sum + the squares of the chunk, in the order of its words.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly float AddSquares(float sum)
    {
        sum = AddSquares(sum, V0);
        sum = AddSquares(sum, V1);
        sum = AddSquares(sum, V2);
        sum = AddSquares(sum, V3);
        sum = AddSquares(sum, V4);
        sum = AddSquares(sum, V5);
        sum = AddSquares(sum, V6);
        return AddSquares(sum, V7);
    }

    /// <summary>The same of the words from start on, one after the other: in few registers.</summary>
    public static float AddSquares(ArrayView<Float4> row, int start, float sum)
    {
        for (int i = 0; i < WordsPerThread; i++)
            sum = AddSquares(sum, Word(row, start + Group.IdxX + (i * GroupSize)));
        return sum;
    }

    /// <summary>
    /// Of every thread's squares: over lanes, then over warps in their order. warpSums: shared, one float a warp, which nobody uses any more.
    /// </summary>
    public static float SumOfGroup(float squares, ArrayView<float> warpSums)
    {
        squares = WarpReduce.Sum(squares);
        if ((Group.IdxX & 31) == 0)
            warpSums[Group.IdxX >> 5] = squares;
        Group.Barrier();
        float sum = warpSums[0];
        for (int warp = 1; warp < Warps; warp++)
            sum += warpSums[warp];
        return sum;
    }

    /// <summary>x · scale · (1 + weight).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 Normalised(Float4 x, float scale, Float4 weight) => new(
        x.X * scale * (1 + weight.X), x.Y * scale * (1 + weight.Y), x.Z * scale * (1 + weight.Z), x.W * scale * (1 + weight.W));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float AddSquares(float sum, Float4 v) =>
        Float32.Fma(v.W, v.W, Float32.Fma(v.Z, v.Z, Float32.Fma(v.Y, v.Y, Float32.Fma(v.X, v.X, sum))));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 Word(ArrayView<Float4> row, int at)
    {
        Float4 word = default;
        if (at < row.Length)
            word = row[at];
        return word;
    }
}
