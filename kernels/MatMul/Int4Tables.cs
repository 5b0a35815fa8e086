using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>The table of the sixteen weights that a row of a group has: scale · (code − zero), exactly.</summary>
internal unsafe interface INibbleTables
{
    /// <summary>That of a row, from the numbers which <see cref="WholeTileNibbles"/> prepares.</summary>
    static abstract Vector512<float> Of(float* numbers, int row);
}

/// <summary>Every zero point is 8.</summary>
internal readonly unsafe struct SymmetricTables : INibbleTables
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Of(float* numbers, int row) =>
        Vector512.Create(-8f, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7) * Vector512.Create(numbers[row]);
}

/// <summary>Zero points are stored: code · scale + bias.</summary>
internal readonly unsafe struct ZeroPointTables : INibbleTables
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Of(float* numbers, int row) => Vector512.FusedMultiplyAdd(
        WholeTileNibbles.Codes, Vector512.Create(numbers[row]), Vector512.Create(numbers[row + LaneSums.Rows]));
}

/// <summary>
/// INT4 tiles with AVX-512, groups of a tile or more: a permutation, which sees the lowest four bits of its indices, looks sixteen weights
/// up. Eight rows go through a stretch at a time, their sums, their tables and x in registers; what is slow about the order in which they
/// meet memory is mended by asking for the next stretch in its own.
/// </summary>
internal static unsafe class Int4Tables
{
    private const int PairBytes = Int4Layout.TileBytes / 8;
    private const int Half = LaneSums.Floats / 2;

    /// <summary>The sixteen lanes' totals of a row tile with one token's x, whose stretches lie so far apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<TTables>(
        in CpuWeights w, long rowTile, int columns, float* x, long stretchFloats, float* numbers, float* totals)
        where TTables : INibbleTables
    {
        byte* lanes = w.Data + (rowTile * w.ColumnTiles * Int4Layout.TileBytes);
        int groupTiles = w.GroupSize / Int4Layout.TileColumns;
        LaneSums.Clear(totals);
        for (int from = 0; from < columns; from += LaneOrder.Stretch)
        {
            int to = Math.Min(from + LaneOrder.Stretch, columns);
            int tiles = (to - from + Int4Layout.TileColumns - 1) / Int4Layout.TileColumns;
            int firstGroup = groupTiles - (from / Int4Layout.TileColumns % groupTiles);
            WholeTileNibbles.Prepare(w, rowTile, from, to, numbers);
            byte* ahead = lanes + CpuMatMul.AheadBytes;
            AddEightRows<TTables>(lanes, ahead, tiles, firstGroup, groupTiles, x, numbers, totals);
            ahead += tiles * (Int4Layout.TileBytes / 2);
            AddEightRows<TTables>(lanes + (4 * PairBytes), ahead, tiles, firstGroup, groupTiles, x, numbers + 4, totals + (4 * CpuVectors.Width));
            lanes += tiles * Int4Layout.TileBytes;
            x += stretchFloats;
        }
    }

    // Rows 0 … 3 from the first one on, and those eight below them.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddEightRows<TTables>(
        byte* lanes, byte* ahead, int tiles, int firstGroup, int groupTiles, float* x, float* numbers, float* totals)
        where TTables : INibbleTables
    {
        Vector512<float> sum0 = default, sum1 = default, sum2 = default, sum3 = default;
        Vector512<float> sum8 = default, sum9 = default, sum10 = default, sum11 = default;
        for (int count = Math.Min(firstGroup, tiles); tiles > 0; tiles -= count, count = Math.Min(groupTiles, tiles))
        {
            Vector512<float> table0 = TTables.Of(numbers, 0);
            Vector512<float> table1 = TTables.Of(numbers, 1);
            Vector512<float> table2 = TTables.Of(numbers, 2);
            Vector512<float> table3 = TTables.Of(numbers, 3);
            Vector512<float> table8 = TTables.Of(numbers, 8);
            Vector512<float> table9 = TTables.Of(numbers, 9);
            Vector512<float> table10 = TTables.Of(numbers, 10);
            Vector512<float> table11 = TTables.Of(numbers, 11);
            numbers += 2 * LaneSums.Rows;
            for (int tile = 0; tile < count; tile++)
            {
                Sse.Prefetch0(ahead);
                Sse.Prefetch0(ahead + PairBytes);
                Sse.Prefetch0(ahead + (2 * PairBytes));
                Sse.Prefetch0(ahead + (3 * PairBytes));
                Vector512<float> x0 = Vector512.LoadAligned(x);
                Vector512<float> x1 = Vector512.LoadAligned(x + 16);
                Vector512<float> x2 = Vector512.LoadAligned(x + 32);
                Vector512<float> x3 = Vector512.LoadAligned(x + 48);
                Add(lanes, table0, table8, x0, x1, x2, x3, ref sum0, ref sum8);
                Add(lanes + PairBytes, table1, table9, x0, x1, x2, x3, ref sum1, ref sum9);
                Add(lanes + (2 * PairBytes), table2, table10, x0, x1, x2, x3, ref sum2, ref sum10);
                Add(lanes + (3 * PairBytes), table3, table11, x0, x1, x2, x3, ref sum3, ref sum11);
                lanes += Int4Layout.TileBytes;
                ahead += Int4Layout.TileBytes / 2;
                x += Int4Layout.TileColumns;
            }
        }

        AddTo(totals, sum0, sum1, sum2, sum3);
        AddTo(totals + Half, sum8, sum9, sum10, sum11);
    }

    // 64 k of a row and of the one eight below it: a shift brings the next nibble of a word to the lowest bits.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(
        byte* lanes, Vector512<float> table, Vector512<float> tableBelow, Vector512<float> x0, Vector512<float> x1, Vector512<float> x2,
        Vector512<float> x3, ref Vector512<float> sum, ref Vector512<float> sumBelow)
    {
        Vector512<uint> words = Vector512.Load((uint*)lanes);
        sum = Vector512.FusedMultiplyAdd(LookUp(table, words), x0, sum);
        sumBelow = Vector512.FusedMultiplyAdd(LookUp(tableBelow, words >>> 4), x0, sumBelow);
        sum = Vector512.FusedMultiplyAdd(LookUp(table, words >>> 8), x1, sum);
        sumBelow = Vector512.FusedMultiplyAdd(LookUp(tableBelow, words >>> 12), x1, sumBelow);
        sum = Vector512.FusedMultiplyAdd(LookUp(table, words >>> 16), x2, sum);
        sumBelow = Vector512.FusedMultiplyAdd(LookUp(tableBelow, words >>> 20), x2, sumBelow);
        sum = Vector512.FusedMultiplyAdd(LookUp(table, words >>> 24), x3, sum);
        sumBelow = Vector512.FusedMultiplyAdd(LookUp(tableBelow, words >>> 28), x3, sumBelow);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> LookUp(Vector512<float> table, Vector512<uint> words) =>
        Avx512F.PermuteVar16x32(table, words.AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddTo(float* totals, Vector512<float> sum0, Vector512<float> sum1, Vector512<float> sum2, Vector512<float> sum3)
    {
        (Vector512.LoadAligned(totals) + sum0).StoreAligned(totals);
        (Vector512.LoadAligned(totals + 16) + sum1).StoreAligned(totals + 16);
        (Vector512.LoadAligned(totals + 32) + sum2).StoreAligned(totals + 32);
        (Vector512.LoadAligned(totals + 48) + sum3).StoreAligned(totals + 48);
    }
}
