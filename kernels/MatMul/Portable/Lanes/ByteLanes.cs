using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>How weights come out of tiles of byte codes.</summary>
internal interface IByteCodes
{
    /// <summary>A weight before its scale is so many times what <see cref="Highest"/> gives.</summary>
    static abstract float Unit { get; }

    /// <summary>Of the highest byte of each word, where it is cheapest to have: exactly a weight over <see cref="Unit"/>.</summary>
    static abstract Vector512<float> Highest(Vector512<int> words);

    /// <summary>The weight of the highest byte of each word, exactly.</summary>
    static abstract Vector512<float> Weights(Vector512<int> words);

    /// <summary>Scales of the rows 0 … 15 of a group times a unit, left in memory.</summary>
    static abstract unsafe void StoreScales(in CpuWeights w, long rowTile, int group, float unit, float* scales);
}

/// <summary>INT8, two's complement: in the highest byte 2^24 of it.</summary>
internal readonly struct Int8Codes : IByteCodes
{
    public static float Unit => 1f / (1 << 24);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Highest(Vector512<int> words) =>
        Vector512.ConvertToSingle(words & Vector512.Create(unchecked((int)0xff000000)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Weights(Vector512<int> words) => Vector512.ConvertToSingle(words >> 24);

    public static unsafe void StoreScales(in CpuWeights w, long rowTile, int group, float unit, float* scales) =>
        TileScales.Store(w, rowTile, group, unit, scales);
}

/// <summary>FP8: sign and seven bits in a float's field are 2^-120 of it, as in <see cref="Fp8.ToFloat"/>.</summary>
internal readonly struct Fp8Codes : IByteCodes
{
    public static float Unit => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Highest(Vector512<int> words) =>
        ((words >> 4) & Vector512.Create(unchecked((int)0x87f00000))).AsSingle() * Vector512.Create(1.329227995784916e36f);  // 2^120

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Weights(Vector512<int> words) => Highest(words);

    public static unsafe void StoreScales(in CpuWeights w, long rowTile, int group, float unit, float* scales) =>
        (Vector512.Load((float*)w.Scales + (((rowTile * w.Groups) + group) * LaneSums.Rows)) * Vector512.Create(unit)).StoreAligned(scales);
}

/// <summary>
/// Tiles of byte codes in vectors. 64 bytes of a tile, its lanes 4·g … 4·g + 3, are rows g and g + 8 of 32 k: bytes 0 and 2 of a word are of row g,
/// bytes 1 and 3 of row g + 8.
/// </summary>
internal static unsafe class ByteLanes
{
    /// <summary>Columns from k on that have one scale by themselves: to the end of its group, or of so long a piece of x before that.</summary>
    public static int Segment(in CpuWeights w, int k, int pieceColumns) =>
        Math.Min(w.GroupSize - (k % w.GroupSize), pieceColumns - (k % pieceColumns));

    private const int Pairs = Int8Layout.TileRows / 2;
    private const int PairBytes = Int8Layout.TileBytes / Pairs;

    /// <summary>
    /// The sixteen lanes' totals of a row tile with one token's x, whose stretches lie so far apart. Two row pairs at a time go through the
    /// tiles of a scale, while memory is asked for in its order.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<TCodes>(in CpuWeights w, long rowTile, int columns, float* x, long stretchFloats, float* scales, float* totals)
        where TCodes : struct, IByteCodes
    {
        byte* lanes = w.Data + (rowTile * w.ColumnTiles * Int8Layout.TileBytes);
        LaneSums.Clear(totals);
        for (int k = 0; k < columns;)
        {
            int tiles = (Math.Min(Segment(w, k, LaneOrder.Stretch), columns - k) + Int8Layout.TileColumns - 1) / Int8Layout.TileColumns;
            TCodes.StoreScales(w, rowTile, k / w.GroupSize, TCodes.Unit, scales);
            float* xs = x + (k / LaneOrder.Stretch * stretchFloats) + (k % LaneOrder.Stretch);
            byte* ahead = lanes + CpuWeights.AheadBytes;
            for (int pair = 0; pair < Pairs; pair += 2)
            {
                AddTwoPairs<TCodes>(lanes + (pair * PairBytes), ahead, tiles, xs, scales + pair, totals + (pair * CpuVectors.Width));
                ahead += 2 * PairBytes * tiles;
            }

            lanes += tiles * Int8Layout.TileBytes;
            k += tiles * Int8Layout.TileColumns;
        }
    }

    /// <summary>
    /// The weights, not yet scaled, of a row tile in the columns from … to, the rows a stretch apart, and the scales of its segments,
    /// sixteen each.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Unpack<TCodes>(in CpuWeights w, long rowTile, int from, int to, float* codes, float* scales)
        where TCodes : struct, IByteCodes
    {
        for (int k = from; k < to; k += Segment(w, k, LaneOrder.Stretch), scales += LaneSums.Rows)
            TCodes.StoreScales(w, rowTile, k / w.GroupSize, 1, scales);
        byte* lanes = w.Data + (((rowTile * w.ColumnTiles) + (from / Int8Layout.TileColumns)) * Int8Layout.TileBytes);
        for (int k = from; k < to; k += Int8Layout.TileColumns)
        {
            for (int pair = 0; pair < Pairs; pair++)
            {
                Vector512<int> words = Vector512.Load((int*)lanes);
                float* row = codes + (k - from) + (pair * LaneOrder.Stretch);
                TCodes.Weights(words << 24).StoreAligned(row);
                TCodes.Weights(words << 8).StoreAligned(row + 16);
                row += Pairs * LaneOrder.Stretch;
                TCodes.Weights(words << 16).StoreAligned(row);
                TCodes.Weights(words).StoreAligned(row + 16);
                lanes += PairBytes;
            }
        }
    }

    // By itself: with AVX2 each operation is two, which the compiler expands only in methods that are not too long.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddTwoPairs<TCodes>(byte* lanes, byte* ahead, int tiles, float* x, float* scales, float* totals)
        where TCodes : struct, IByteCodes
    {
        Vector512<float> above = default, below = default, nextAbove = default, nextBelow = default;
        for (int tile = 0; tile < tiles; tile++)
        {
            Sse.Prefetch0(ahead);
            Sse.Prefetch0(ahead + PairBytes);
            ahead += 2 * PairBytes;
            Vector512<float> x0 = Vector512.LoadAligned(x);
            Vector512<float> x1 = Vector512.LoadAligned(x + 16);
            Vector512<int> words = Vector512.Load((int*)lanes);
            above = Vector512.FusedMultiplyAdd(TCodes.Highest(words << 24), x0, above);
            below = Vector512.FusedMultiplyAdd(TCodes.Highest(words << 16), x0, below);
            above = Vector512.FusedMultiplyAdd(TCodes.Highest(words << 8), x1, above);
            below = Vector512.FusedMultiplyAdd(TCodes.Highest(words), x1, below);
            words = Vector512.Load((int*)(lanes + PairBytes));
            nextAbove = Vector512.FusedMultiplyAdd(TCodes.Highest(words << 24), x0, nextAbove);
            nextBelow = Vector512.FusedMultiplyAdd(TCodes.Highest(words << 16), x0, nextBelow);
            nextAbove = Vector512.FusedMultiplyAdd(TCodes.Highest(words << 8), x1, nextAbove);
            nextBelow = Vector512.FusedMultiplyAdd(TCodes.Highest(words), x1, nextBelow);
            lanes += Int8Layout.TileBytes;
            x += Int8Layout.TileColumns;
        }

        LaneSums.AddScaled(above, scales[0], totals);
        LaneSums.AddScaled(nextAbove, scales[1], totals + CpuVectors.Width);
        totals += Pairs * CpuVectors.Width;
        LaneSums.AddScaled(below, scales[Pairs], totals);
        LaneSums.AddScaled(nextBelow, scales[Pairs + 1], totals + CpuVectors.Width);
    }
}
