using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>
/// INT8 tiles in vectors. 64 bytes of a tile, its lanes 4·g … 4·g + 3, are rows g and g + 8 of 32 k: bytes 0 and 2 of a word are of row g,
/// bytes 1 and 3 of row g + 8.
/// </summary>
internal static unsafe class Int8Lanes
{
    private const int Pairs = Int8Layout.TileRows / 2;
    private const int StretchTiles = LaneOrder.Stretch / Int8Layout.TileColumns;

    /// <summary>The sixteen lanes' totals of a row tile with one token's x, whose stretches lie so far apart; tiles in the order of memory.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(
        in CpuWeights w, long rowTile, int columns, float* x, long stretchFloats, float* sums, float* scales, float* totals)
    {
        byte* lanes = w.Data + (rowTile * w.ColumnTiles * Int8Layout.TileBytes);
        int tiles = (columns + Int8Layout.TileColumns - 1) / Int8Layout.TileColumns;
        LaneSums.Clear(totals);
        for (int start = 0; start < tiles; start += StretchTiles)
        {
            int end = Math.Min(start + StretchTiles, tiles);
            LaneSums.Clear(sums);
            for (int tile = start; tile < end; tile++)
            {
                if (tile * Int8Layout.TileColumns % w.GroupSize == 0)
                    TileScales.Scales(w, rowTile, tile * Int8Layout.TileColumns / w.GroupSize).StoreAligned(scales);
                AddTile(lanes, x + ((tile - start) * Int8Layout.TileColumns), scales, sums);
                lanes += Int8Layout.TileBytes;
            }

            LaneSums.Add(sums, totals);
            x += stretchFloats;
        }
    }

    /// <summary>The weights of a row tile in the columns from … to, the rows a stretch apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Unpack(in CpuWeights w, long rowTile, int from, int to, float* weights, float* scales)
    {
        byte* lanes = w.Data + (((rowTile * w.ColumnTiles) + (from / Int8Layout.TileColumns)) * Int8Layout.TileBytes);
        for (int k = from; k < to; k += Int8Layout.TileColumns)
        {
            if (k == from || k % w.GroupSize == 0)
                TileScales.Scales(w, rowTile, k / w.GroupSize).StoreAligned(scales);
            for (int pair = 0; pair < Pairs; pair++)
            {
                Vector512<int> words = Vector512.Load((int*)(lanes + (64 * pair)));
                Vector512<float> scale = Vector512.Create(scales[pair]);
                float* row = weights + (k - from) + (pair * LaneOrder.Stretch);
                Weights(words << 24, scale).StoreAligned(row);
                Weights(words << 8, scale).StoreAligned(row + 16);
                scale = Vector512.Create(scales[pair + Pairs]);
                row += Pairs * LaneOrder.Stretch;
                Weights(words << 16, scale).StoreAligned(row);
                Weights(words, scale).StoreAligned(row + 16);
            }

            lanes += Int8Layout.TileBytes;
        }
    }

    // By itself: with AVX2 each operation is two, which the compiler expands only in methods that are not too long.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddTile(byte* lanes, float* x, float* scales, float* sums)
    {
        Vector512<float> x0 = Vector512.LoadAligned(x);
        Vector512<float> x1 = Vector512.LoadAligned(x + 16);
        for (int pair = 0; pair < Pairs; pair++)
        {
            Sse.Prefetch0(lanes + CpuMatMul.AheadBytes);
            Vector512<int> words = Vector512.Load((int*)lanes);
            Vector512<float> scale = Vector512.Create(scales[pair]);
            Vector512<float> scaleBelow = Vector512.Create(scales[pair + Pairs]);
            float* sum = sums + (pair * CpuVectors.Width);
            Vector512<float> above = Vector512.LoadAligned(sum);
            Vector512<float> below = Vector512.LoadAligned(sum + (LaneSums.Floats / 2));
            above = Vector512.FusedMultiplyAdd(Weights(words << 24, scale), x0, above);
            below = Vector512.FusedMultiplyAdd(Weights(words << 16, scaleBelow), x0, below);
            above = Vector512.FusedMultiplyAdd(Weights(words << 8, scale), x1, above);
            below = Vector512.FusedMultiplyAdd(Weights(words, scaleBelow), x1, below);
            above.StoreAligned(sum);
            below.StoreAligned(sum + (LaneSums.Floats / 2));
            lanes += 64;
        }
    }

    // The highest byte of each word.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Weights(Vector512<int> words, Vector512<float> scale) => Vector512.ConvertToSingle(words >> 24) * scale;
}
