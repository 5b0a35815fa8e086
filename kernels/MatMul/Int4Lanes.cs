using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>
/// INT4 tiles in vectors. 64 bytes of a tile, its lanes 4·g … 4·g + 3, are rows g and g + 8 of 64 k: a word has four nibbles of each, so
/// that a shift brings the next vector of a row to the lowest bits.
/// </summary>
internal static unsafe class Int4Lanes
{
    private const int Pairs = Int4Layout.TileRows / 2;

    /// <summary>Floats of scratch that both methods need: two vectors a row.</summary>
    public const int TableFloats = 2 * LaneSums.Floats;

    /// <summary>The sixteen lanes' totals of a row tile with one token's x, whose stretches lie so far apart; tiles in the order of memory.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<TNibbles>(
        in CpuWeights w, long rowTile, int columns, float* x, long stretchFloats, float* sums, float* tables, float* totals)
        where TNibbles : INibbleWeights
    {
        byte* lanes = w.Data + (rowTile * w.ColumnTiles * Int4Layout.TileBytes);
        int tiles = (columns + Int4Layout.TileColumns - 1) / Int4Layout.TileColumns;
        LaneSums.Clear(totals);
        for (int start = 0; start < tiles; start += LaneOrder.Stretch / Int4Layout.TileColumns)
        {
            int end = Math.Min(start + (LaneOrder.Stretch / Int4Layout.TileColumns), tiles);
            LaneSums.Clear(sums);
            for (int tile = start; tile < end; tile++)
            {
                if (tile * Int4Layout.TileColumns % w.GroupSize == 0 || w.GroupSize < Int4Layout.TileColumns)
                    TNibbles.Prepare(w, rowTile, tile, tables);
                AddTile<TNibbles>(lanes, x + ((tile - start) * Int4Layout.TileColumns), tables, sums);
                lanes += Int4Layout.TileBytes;
            }

            LaneSums.Add(sums, totals);
            x += stretchFloats;
        }
    }

    /// <summary>The weights of a row tile in the columns from … to, the rows a stretch apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Unpack<TNibbles>(in CpuWeights w, long rowTile, int from, int to, float* weights, float* tables)
        where TNibbles : INibbleWeights
    {
        byte* lanes = w.Data + (((rowTile * w.ColumnTiles) + (from / Int4Layout.TileColumns)) * Int4Layout.TileBytes);
        for (int k = from; k < to; k += Int4Layout.TileColumns)
        {
            if (k == from || k % w.GroupSize == 0 || w.GroupSize < Int4Layout.TileColumns)
                TNibbles.Prepare(w, rowTile, k / Int4Layout.TileColumns, tables);
            for (int pair = 0; pair < Pairs; pair++)
            {
                Vector512<uint> words = Vector512.Load((uint*)(lanes + (64 * pair)));
                float* table = tables + (pair * CpuVectors.Width);
                UnpackRow<TNibbles>(words, table, weights + (k - from) + (pair * LaneOrder.Stretch));
                UnpackRow<TNibbles>(words >>> 4, table + (LaneSums.Floats / 2), weights + (k - from) + ((pair + Pairs) * LaneOrder.Stretch));
            }

            lanes += Int4Layout.TileBytes;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddTile<TNibbles>(byte* lanes, float* x, float* tables, float* sums)
        where TNibbles : INibbleWeights
    {
        Vector512<float> x0 = Vector512.LoadAligned(x);
        Vector512<float> x1 = Vector512.LoadAligned(x + 16);
        Vector512<float> x2 = Vector512.LoadAligned(x + 32);
        Vector512<float> x3 = Vector512.LoadAligned(x + 48);
        for (int pair = 0; pair < Pairs; pair++)
        {
            float* table = tables + (pair * CpuVectors.Width);
            float* sum = sums + (pair * CpuVectors.Width);
            Vector512<float> first = Vector512.LoadAligned(table);
            Vector512<float> second = Vector512.LoadAligned(table + LaneSums.Floats);
            Vector512<float> firstBelow = Vector512.LoadAligned(table + (LaneSums.Floats / 2));
            Vector512<float> secondBelow = Vector512.LoadAligned(table + (LaneSums.Floats * 3 / 2));
            Sse.Prefetch0(lanes + CpuMatMul.AheadBytes);
            Vector512<uint> words = Vector512.Load((uint*)lanes);
            Vector512<float> above = Vector512.LoadAligned(sum);
            Vector512<float> below = Vector512.LoadAligned(sum + (LaneSums.Floats / 2));
            above = Vector512.FusedMultiplyAdd(TNibbles.Of(words, first, second), x0, above);
            below = Vector512.FusedMultiplyAdd(TNibbles.Of(words >>> 4, firstBelow, secondBelow), x0, below);
            above = Vector512.FusedMultiplyAdd(TNibbles.Of(words >>> 8, first, second), x1, above);
            below = Vector512.FusedMultiplyAdd(TNibbles.Of(words >>> 12, firstBelow, secondBelow), x1, below);
            above = Vector512.FusedMultiplyAdd(TNibbles.Of(words >>> 16, first, second), x2, above);
            below = Vector512.FusedMultiplyAdd(TNibbles.Of(words >>> 20, firstBelow, secondBelow), x2, below);
            above = Vector512.FusedMultiplyAdd(TNibbles.Of(words >>> 24, first, second), x3, above);
            below = Vector512.FusedMultiplyAdd(TNibbles.Of(words >>> 28, firstBelow, secondBelow), x3, below);
            above.StoreAligned(sum);
            below.StoreAligned(sum + (LaneSums.Floats / 2));
            lanes += 64;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void UnpackRow<TNibbles>(Vector512<uint> words, float* table, float* weights)
        where TNibbles : INibbleWeights
    {
        Vector512<float> first = Vector512.LoadAligned(table);
        Vector512<float> second = Vector512.LoadAligned(table + LaneSums.Floats);
        TNibbles.Of(words, first, second).StoreAligned(weights);
        TNibbles.Of(words >>> 8, first, second).StoreAligned(weights + 16);
        TNibbles.Of(words >>> 16, first, second).StoreAligned(weights + 32);
        TNibbles.Of(words >>> 24, first, second).StoreAligned(weights + 48);
    }
}
