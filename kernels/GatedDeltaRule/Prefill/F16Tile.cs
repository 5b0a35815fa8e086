using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A tile of 64 rows of f16 in shared memory, in words of eight, a multiple of eight words a row. Word w of row r lies at place
/// w ^ (r % 8) of its row: the eight rows that an ldmatrix phase reads lie in eight different sets of banks.
/// </summary>
internal static class F16Tile
{
    /// <summary>Rows of a tile.</summary>
    public const int Rows = 64;

    /// <summary>Steps of 16 k of a product along 64.</summary>
    public const int Steps = 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Place(int row, int word, int rowWords) => (row * rowWords) + (word ^ (row & 7));

    /// <summary>sums + a · Bᵀ, B: the 64 rows of a tile, 64 k from firstWord on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FragmentStrip TimesRows(
        FragmentStrip sums, StripOperand a, ArrayView<UInt4> shared, int start, int rowWords, int firstWord)
    {
        for (int side = 0; side < 2; side++)
        {
            sums = new FragmentStrip(sums.Right, TimesHalf(sums.Left, a, shared, start, rowWords, firstWord, Steps));
            start += 32 * rowWords;
        }

        return sums;
    }

    /// <summary>sums + a · Bᵀ, B: a 64 × 64 lower triangle, whose first 32 rows have two steps that are not zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FragmentStrip TimesTriangle(FragmentStrip sums, StripOperand a, ArrayView<UInt4> shared, int start) => new(
        TimesHalf(sums.Left, a, shared, start, Rows / 8, 0, Steps / 2),
        TimesHalf(sums.Right, a, shared, start + (32 * Rows / 8), Rows / 8, 0, Steps));

    // 32 rows of a tile; steps: a constant, or the loop is not unrolled.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static FragmentRow TimesHalf(
        FragmentRow sums, StripOperand a, ArrayView<UInt4> shared, int start, int rowWords, int firstWord, int steps)
    {
        int lane = Group.IdxX & 31;
        int place = start + (((lane & 7) + ((lane >> 4) << 3)) * rowWords);
        int word = firstWord + ((lane >> 3) & 1);
        for (int k = 0; k < steps; k++)
        {
            int at = place + ((word + (2 * k)) ^ (lane & 7));
            sums = sums.MultiplyAdd(a.K0, LoadMatrix.X4(ref shared[at]), LoadMatrix.X4(ref shared[at + (16 * rowWords)]));
            a = a.Shifted();
        }

        return sums;
    }

    /// <summary>sums + a · B, B: the 64 rows of a tile, 64 columns from firstWord on; tokenRow: the row of 16 this lane names.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FragmentStrip TimesColumns(
        FragmentStrip sums, StripOperand a, ArrayView<UInt4> shared, int start, int rowWords, int firstWord, int tokenRow)
    {
        int lane = Group.IdxX & 31;
        int swizzle = tokenRow & 7;
        int word = firstWord + (lane >> 4);
        for (int side = 0; side < 2; side++)
        {
            FragmentRow half = sums.Left;
            int place = start + (tokenRow * rowWords);
            for (int k = 0; k < Steps; k++)
            {
                half = half.MultiplyAdd(
                    a.K0,
                    LoadMatrix.X4Transposed(ref shared[place + (word ^ swizzle)]),
                    LoadMatrix.X4Transposed(ref shared[place + ((word + 2) ^ swizzle)]));
                a = a.Shifted();
                place += 16 * rowWords;
            }

            sums = new FragmentStrip(sums.Right, half);
            word += 4;
        }

        return sums;
    }
}
