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
    /// <summary>Floats that the scales and biases of a row tile take in a stretch: of its tiles, two groups of sixteen rows, four times each.</summary>
    public const int Numbers = LaneOrder.Stretch / Int4Layout.TileColumns * Int4Layout.TileRows * 8;

    private const int Pairs = Int4Layout.TileRows / 2;
    private const int PairBytes = Int4Layout.TileBytes / Pairs;

    /// <summary>The sixteen lanes' totals of a row tile with one token's x, whose stretches lie so far apart; tiles in the order of memory.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<TNibbles>(
        in CpuWeights w, long rowTile, int columns, float* x, long stretchFloats, float* sums, float* numbers, float* totals)
        where TNibbles : INibbleWeights
    {
        byte* lanes = w.Data + (rowTile * w.ColumnTiles * Int4Layout.TileBytes);
        LaneSums.Clear(totals);
        for (int from = 0; from < columns; from += LaneOrder.Stretch)
        {
            int to = Math.Min(from + LaneOrder.Stretch, columns);
            TNibbles.Prepare(w, rowTile, from, to, numbers);
            LaneSums.Clear(sums);
            for (int k = from; k < to; k += Int4Layout.TileColumns)
            {
                AddTile<TNibbles>(lanes, x + (k - from), TNibbles.OfTile(w, numbers, from, k), sums);
                lanes += Int4Layout.TileBytes;
            }

            LaneSums.Add(sums, totals);
            x += stretchFloats;
        }
    }

    /// <summary>The weights of a row tile in the columns from … to, the rows a stretch apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Unpack<TNibbles>(in CpuWeights w, long rowTile, int from, int to, float* weights, float* numbers)
        where TNibbles : INibbleWeights
    {
        byte* lanes = w.Data + (((rowTile * w.ColumnTiles) + (from / Int4Layout.TileColumns)) * Int4Layout.TileBytes);
        TNibbles.Prepare(w, rowTile, from, to, numbers);
        for (int k = from; k < to; k += Int4Layout.TileColumns)
        {
            float* tileNumbers = TNibbles.OfTile(w, numbers, from, k);
            for (int pair = 0; pair < Pairs; pair++)
            {
                Sse.Prefetch0(lanes + CpuWeights.AheadBytes);
                Vector512<uint> words = Vector512.Load((uint*)lanes);
                float* row = weights + (k - from) + (pair * LaneOrder.Stretch);
                UnpackRow<TNibbles>(words, tileNumbers, pair, row);
                UnpackRow<TNibbles>(words >>> 4, tileNumbers, pair + Pairs, row + (Pairs * LaneOrder.Stretch));
                lanes += PairBytes;
            }
        }
    }

    // By itself: with AVX2 each operation is two, which the compiler expands only in methods that are not too long.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddTile<TNibbles>(byte* lanes, float* x, float* numbers, float* sums)
        where TNibbles : INibbleWeights
    {
        Vector512<float> x0 = Vector512.LoadAligned(x);
        Vector512<float> x1 = Vector512.LoadAligned(x + 16);
        Vector512<float> x2 = Vector512.LoadAligned(x + 32);
        Vector512<float> x3 = Vector512.LoadAligned(x + 48);
        for (int pair = 0; pair < Pairs; pair++)
        {
            Vector512<float> first = TNibbles.First(numbers, pair);
            Vector512<float> second = TNibbles.Second(numbers, pair);
            Vector512<float> firstBelow = TNibbles.First(numbers, pair + Pairs);
            Vector512<float> secondBelow = TNibbles.Second(numbers, pair + Pairs);
            float* sum = sums + (pair * CpuVectors.Width);
            Sse.Prefetch0(lanes + CpuWeights.AheadBytes);
            Vector512<uint> words = Vector512.Load((uint*)lanes);
            Vector512<float> above = Vector512.LoadAligned(sum);
            Vector512<float> below = Vector512.LoadAligned(sum + (LaneSums.Floats / 2));
            above = Vector512.FusedMultiplyAdd(TNibbles.Weights(words, first, second), x0, above);
            below = Vector512.FusedMultiplyAdd(TNibbles.Weights(words >>> 4, firstBelow, secondBelow), x0, below);
            above = Vector512.FusedMultiplyAdd(TNibbles.Weights(words >>> 8, first, second), x1, above);
            below = Vector512.FusedMultiplyAdd(TNibbles.Weights(words >>> 12, firstBelow, secondBelow), x1, below);
            above = Vector512.FusedMultiplyAdd(TNibbles.Weights(words >>> 16, first, second), x2, above);
            below = Vector512.FusedMultiplyAdd(TNibbles.Weights(words >>> 20, firstBelow, secondBelow), x2, below);
            above = Vector512.FusedMultiplyAdd(TNibbles.Weights(words >>> 24, first, second), x3, above);
            below = Vector512.FusedMultiplyAdd(TNibbles.Weights(words >>> 28, firstBelow, secondBelow), x3, below);
            above.StoreAligned(sum);
            below.StoreAligned(sum + (LaneSums.Floats / 2));
            lanes += PairBytes;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void UnpackRow<TNibbles>(Vector512<uint> words, float* numbers, int row, float* weights)
        where TNibbles : INibbleWeights
    {
        Vector512<float> first = TNibbles.First(numbers, row);
        Vector512<float> second = TNibbles.Second(numbers, row);
        TNibbles.Weights(words, first, second).StoreAligned(weights);
        TNibbles.Weights(words >>> 8, first, second).StoreAligned(weights + 16);
        TNibbles.Weights(words >>> 16, first, second).StoreAligned(weights + 32);
        TNibbles.Weights(words >>> 24, first, second).StoreAligned(weights + 48);
    }
}
