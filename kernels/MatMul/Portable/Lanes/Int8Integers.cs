using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>
/// INT8 tiles times x in fixed point: the sums of a lane over up to four tiles are exact in 32 bits, those of x's high and low halves apart;
/// times scale and unit they join the lane's total. A code is the upper byte of a 16-bit element here, 256 of it.
/// </summary>
internal static unsafe class Int8Integers
{
    private const int Pairs = Int8Layout.TileRows / 2;
    private const int PairBytes = Int8Layout.TileBytes / Pairs;
    private const int TileX = Int8Layout.TileColumns * sizeof(float);
    private const int LowPlane = 64;
    private const int HalfBytes = 32;
    private const float CodeUnit = 1 / 256f;

    /// <summary>The sixteen lanes' totals of a row tile with one token's x, whose stretches lie so far apart, and its units.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(
        in CpuWeights w, long rowTile, int columns, float* x, long stretchFloats, float* units, float* scales, float* totals)
    {
        byte* lanes = w.Data + (rowTile * w.ColumnTiles * Int8Layout.TileBytes);
        LaneSums.Clear(totals);
        for (int k = 0; k < columns;)
        {
            // As many tiles as have one unit and one scale.
            int tiles = (Math.Min(ByteLanes.Segment(w, k, FixedPointRows.Block), columns - k) + Int8Layout.TileColumns - 1) / Int8Layout.TileColumns;
            TileScales.Store(w, rowTile, k / w.GroupSize, units[k / FixedPointRows.Block] * CodeUnit, scales);
            byte* planes = (byte*)(x + (k / LaneOrder.Stretch * stretchFloats) + (k % LaneOrder.Stretch));
            if (Avx512BW.IsSupported)
            {
                AddTiles(lanes, tiles, planes, scales, totals);
            }
            else
            {
                AddHalfTiles(lanes, tiles, planes, scales, totals);
                AddHalfTiles(lanes + HalfBytes, tiles, planes + HalfBytes, scales, totals + (CpuVectors.Width / 2));
            }

            lanes += tiles * Int8Layout.TileBytes;
            k += tiles * Int8Layout.TileColumns;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddTiles(byte* lanes, int tiles, byte* x, float* scales, float* totals)
    {
        byte* ahead = lanes + CpuWeights.AheadBytes;
        var upper = Vector512.Create(unchecked((short)0xff00));
        for (int pair = 0; pair < Pairs; pair++, lanes += PairBytes, totals += CpuVectors.Width)
        {
            Vector512<int> high = default, low = default, highBelow = default, lowBelow = default;
            byte* words = lanes;
            byte* xs = x;
            for (int tile = 0; tile < tiles; tile++, words += Int8Layout.TileBytes, xs += TileX, ahead += PairBytes)
            {
                Sse.Prefetch0(ahead);
                Vector512<short> codesBelow = Vector512.Load((short*)words);
                Vector512<short> codes = codesBelow << 8;
                codesBelow &= upper;
                Vector512<short> xHigh = Vector512.LoadAligned((short*)xs);
                Vector512<short> xLow = Vector512.LoadAligned((short*)(xs + LowPlane));
                high += Avx512BW.MultiplyAddAdjacent(codes, xHigh);
                low += Avx512BW.MultiplyAddAdjacent(codes, xLow);
                highBelow += Avx512BW.MultiplyAddAdjacent(codesBelow, xHigh);
                lowBelow += Avx512BW.MultiplyAddAdjacent(codesBelow, xLow);
            }

            AddTo(totals, high, low, scales[pair]);
            AddTo(totals + (LaneSums.Floats / 2), highBelow, lowBelow, scales[pair + Pairs]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddTo(float* total, Vector512<int> high, Vector512<int> low, float scale)
    {
        Vector512<float> sum = Vector512.FusedMultiplyAdd(
            Vector512.ConvertToSingle(high), Vector512.Create(FixedPointRows.HighUnit), Vector512.ConvertToSingle(low));
        LaneSums.AddScaled(sum, scale, total);
    }

    // The same of half the lanes, with AVX2's registers.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddHalfTiles(byte* lanes, int tiles, byte* x, float* scales, float* totals)
    {
        byte* ahead = lanes + CpuWeights.AheadBytes;
        var upper = Vector256.Create(unchecked((short)0xff00));
        for (int pair = 0; pair < Pairs; pair++, lanes += PairBytes, totals += CpuVectors.Width)
        {
            Vector256<int> high = default, low = default, highBelow = default, lowBelow = default;
            byte* words = lanes;
            byte* xs = x;
            for (int tile = 0; tile < tiles; tile++, words += Int8Layout.TileBytes, xs += TileX, ahead += PairBytes)
            {
                Sse.Prefetch0(ahead);
                Vector256<short> codesBelow = Vector256.Load((short*)words);
                Vector256<short> codes = codesBelow << 8;
                codesBelow &= upper;
                Vector256<short> xHigh = Vector256.LoadAligned((short*)xs);
                Vector256<short> xLow = Vector256.LoadAligned((short*)(xs + LowPlane));
                high += Avx2.MultiplyAddAdjacent(codes, xHigh);
                low += Avx2.MultiplyAddAdjacent(codes, xLow);
                highBelow += Avx2.MultiplyAddAdjacent(codesBelow, xHigh);
                lowBelow += Avx2.MultiplyAddAdjacent(codesBelow, xLow);
            }

            AddTo(totals, high, low, scales[pair]);
            AddTo(totals + (LaneSums.Floats / 2), highBelow, lowBelow, scales[pair + Pairs]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddTo(float* total, Vector256<int> high, Vector256<int> low, float scale)
    {
        Vector256<float> sum = Vector256.FusedMultiplyAdd(
            Vector256.ConvertToSingle(high), Vector256.Create(FixedPointRows.HighUnit), Vector256.ConvertToSingle(low));
        Vector256.FusedMultiplyAdd(sum, Vector256.Create(scale), Vector256.LoadAligned(total)).StoreAligned(total);
    }
}
