using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>How the scales and zero points of a row lie that <see cref="Int4Integers"/> multiplies with at a time.</summary>
internal unsafe interface IInt4Units
{
    /// <summary>Writes scales times the unit of x, and zero points where they are stored, of the tiles whose first group this is.</summary>
    static abstract void Prepare(in CpuWeights w, long rowTile, int group, float unit, float* scales, int* zeros);

    static abstract Vector512<float> Scale(float* scales, int row);

    static abstract Vector512<int> Zero(int* zeros, int row);

    static abstract Vector256<float> HalfScale(float* scales, int row);

    static abstract Vector256<int> HalfZero(int* zeros, int row);
}

/// <summary>One scale a row: groups of a tile or more.</summary>
internal readonly unsafe struct WholeUnits : IInt4Units
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void Prepare(in CpuWeights w, long rowTile, int group, float unit, float* scales, int* zeros)
    {
        TileScales.Store(w, rowTile, group, unit, scales);
        if (w.Zeros != null)
            TileScales.ZeroCodes(w, rowTile, group).StoreAligned(zeros);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Scale(float* scales, int row) => Vector512.Create(scales[row]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Zero(int* zeros, int row) => Vector512.Create(zeros[row]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> HalfScale(float* scales, int row) => Vector256.Create(scales[row]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> HalfZero(int* zeros, int row) => Vector256.Create(zeros[row]);
}

/// <summary>Groups of 32, two of them in a tile: a row has the first one's scale twice, then the second one's, as their lanes alternate.</summary>
internal readonly unsafe struct HalfTileUnits : IInt4Units
{
    private const int Lanes = 4;

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void Prepare(in CpuWeights w, long rowTile, int group, float unit, float* scales, int* zeros)
    {
        int next = Math.Min(group + 1, w.Groups - 1);   // K may end in the first half: there x is 0
        HalfTileNibbles.Interleave(
            TileScales.Scales(w, rowTile, group) * Vector512.Create(unit), TileScales.Scales(w, rowTile, next) * Vector512.Create(unit), scales, Lanes);
        if (w.Zeros != null)
        {
            HalfTileNibbles.Interleave(
                TileScales.ZeroCodes(w, rowTile, group).AsSingle(), TileScales.ZeroCodes(w, rowTile, next).AsSingle(), (float*)zeros, Lanes);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Scale(float* scales, int row) => Avx512F.BroadcastVector128ToVector512(scales + (Lanes * row));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Zero(int* zeros, int row) => Avx512F.BroadcastVector128ToVector512(zeros + (Lanes * row));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> HalfScale(float* scales, int row) => Avx.BroadcastVector128ToVector256(scales + (Lanes * row));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> HalfZero(int* zeros, int row) => Avx2.BroadcastVector128ToVector256(zeros + (Lanes * row));
}

/// <summary>
/// INT4 tiles times x in fixed point: Σ (code − zero) · q of a lane over one tile or two is exact in 32 bits, whatever the order; times
/// scale and unit it joins the lane's total. Codes are bytes here, 64 of a row and 64 of the one eight below it in 64 bytes of a tile.
/// </summary>
internal static unsafe class Int4Integers
{
    /// <summary>Numbers of a row tile: scales and zero points, four a row.</summary>
    public const int Numbers = 8 * LaneSums.Rows;

    private const int Pairs = Int4Layout.TileRows / 2;
    private const int PairBytes = Int4Layout.TileBytes / Pairs;
    private const int TileX = LaneOrder.Block * sizeof(float);
    private const int XSums = 192;
    private const int HalfBytes = 32;

    /// <summary>The sixteen lanes' totals of a row tile with one token's x, whose stretches lie so far apart, and its units.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<TUnits>(
        in CpuWeights w, long rowTile, int columns, float* x, long stretchFloats, float* units, float* numbers, float* totals)
        where TUnits : IInt4Units
    {
        byte* lanes = w.Data + (rowTile * w.ColumnTiles * Int4Layout.TileBytes);
        int* zeros = w.Zeros == null ? null : (int*)(numbers + (Numbers / 2));
        LaneSums.Clear(totals);
        for (int k = 0; k < columns;)
        {
            // As many tiles as have one unit and one scale.
            int next = k + Int4Layout.TileColumns;
            int group = k / w.GroupSize;
            bool areTwo = next < columns && next % FixedPointRows.Block != 0 && next < (group + 1) * w.GroupSize;
            TUnits.Prepare(w, rowTile, group, units[k / FixedPointRows.Block], numbers, zeros);
            byte* planes = (byte*)(x + (k / LaneOrder.Stretch * stretchFloats) + (k % LaneOrder.Stretch));
            if (areTwo)
                Add<TUnits, Two>(lanes, planes, numbers, zeros, totals);
            else
                Add<TUnits, One>(lanes, planes, numbers, zeros, totals);
            int tiles = areTwo ? 2 : 1;
            lanes += tiles * Int4Layout.TileBytes;
            k += tiles * Int4Layout.TileColumns;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<TUnits, TTiles>(byte* lanes, byte* x, float* scales, int* zeros, float* totals)
        where TUnits : IInt4Units
        where TTiles : IConstant
    {
        if (Avx512BW.IsSupported)
        {
            AddTiles<TUnits, TTiles>(lanes, x, scales, zeros, totals);
            return;
        }

        byte* ahead = lanes + CpuWeights.AheadBytes;
        AddHalfTiles<TUnits, TTiles>(lanes, ahead, x, scales, zeros, totals);
        AddHalfTiles<TUnits, TTiles>(
            lanes + HalfBytes, ahead + Int4Layout.TileBytes, x + HalfBytes, scales, zeros, totals + (CpuVectors.Width / 2));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddTiles<TUnits, TTiles>(byte* lanes, byte* x, float* scales, int* zeros, float* totals)
        where TUnits : IInt4Units
        where TTiles : IConstant
    {
        Vector512<int> sums = Vector512.LoadAligned((int*)(x + XSums));
        if (TTiles.Value == Two.Value)
            sums += Vector512.LoadAligned((int*)(x + TileX + XSums));
        byte* ahead = lanes + CpuWeights.AheadBytes;
        Vector512<int> zero = sums << 3;
        Vector512<int> zeroBelow = zero;
        var nibble = Vector512.Create((byte)15);
        for (int pair = 0; pair < Pairs; pair++, lanes += PairBytes, totals += CpuVectors.Width)
        {
            Sse.Prefetch0(ahead);
            ahead += PairBytes;
            Vector512<byte> words = Vector512.Load(lanes);
            Vector512<byte> next = default;
            if (TTiles.Value == Two.Value)
            {
                Sse.Prefetch0(ahead);
                ahead += PairBytes;
                next = Vector512.Load(lanes + Int4Layout.TileBytes);
            }

            if (zeros != null)
            {
                zero = TUnits.Zero(zeros, pair) * sums;
                zeroBelow = TUnits.Zero(zeros, pair + Pairs) * sums;
            }

            AddRow<TTiles>(words & nibble, next & nibble, x, zero, TUnits.Scale(scales, pair), totals);
            AddRow<TTiles>(
                (words.AsUInt16() >>> 4).AsByte() & nibble, (next.AsUInt16() >>> 4).AsByte() & nibble, x, zeroBelow,
                TUnits.Scale(scales, pair + Pairs), totals + (LaneSums.Floats / 2));
        }
    }

    // Of a row 64 k, or twice as many.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddRow<TTiles>(
        Vector512<byte> codes, Vector512<byte> next, byte* x, Vector512<int> zero, Vector512<float> scale, float* total)
        where TTiles : IConstant
    {
        Vector512<short> low = Avx512BW.MultiplyAddAdjacent(codes, Vector512.LoadAligned((sbyte*)x));
        Vector512<short> middle = Avx512BW.MultiplyAddAdjacent(codes, Vector512.LoadAligned((sbyte*)x + 64));
        Vector512<short> high = Avx512BW.MultiplyAddAdjacent(codes, Vector512.LoadAligned((sbyte*)x + 128));
        if (TTiles.Value == Two.Value)
        {
            x += TileX;
            low += Avx512BW.MultiplyAddAdjacent(next, Vector512.LoadAligned((sbyte*)x));
            middle += Avx512BW.MultiplyAddAdjacent(next, Vector512.LoadAligned((sbyte*)x + 64));
            high += Avx512BW.MultiplyAddAdjacent(next, Vector512.LoadAligned((sbyte*)x + 128));
        }

        Vector512<float> sum = Vector512.ConvertToSingle(Join(low, middle, high) - zero);
        Vector512.FusedMultiplyAdd(sum, scale, Vector512.LoadAligned(total)).StoreAligned(total);
    }

    // The sums of three digits' products as those of q's.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Join(Vector512<short> low, Vector512<short> middle, Vector512<short> high)
    {
        var one = Vector512.Create((short)1);
        Vector512<int> upper = Avx512BW.MultiplyAddAdjacent(high, Vector512.Create((short)256)) + Avx512BW.MultiplyAddAdjacent(middle, one);
        return (upper << 8) + Avx512BW.MultiplyAddAdjacent(low, one);
    }

    // The same of half the lanes, with AVX2's registers.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddHalfTiles<TUnits, TTiles>(byte* lanes, byte* ahead, byte* x, float* scales, int* zeros, float* totals)
        where TUnits : IInt4Units
        where TTiles : IConstant
    {
        Vector256<int> sums = Vector256.LoadAligned((int*)(x + XSums));
        if (TTiles.Value == Two.Value)
            sums += Vector256.LoadAligned((int*)(x + TileX + XSums));
        Vector256<int> zero = sums << 3;
        Vector256<int> zeroBelow = zero;
        var nibble = Vector256.Create((byte)15);
        for (int pair = 0; pair < Pairs; pair++, lanes += PairBytes, ahead += PairBytes, totals += CpuVectors.Width)
        {
            Sse.Prefetch0(ahead);
            Vector256<byte> words = Vector256.Load(lanes);
            Vector256<byte> next = TTiles.Value == Two.Value ? Vector256.Load(lanes + Int4Layout.TileBytes) : default;
            if (zeros != null)
            {
                zero = TUnits.HalfZero(zeros, pair) * sums;
                zeroBelow = TUnits.HalfZero(zeros, pair + Pairs) * sums;
            }

            AddHalfRow<TTiles>(words & nibble, next & nibble, x, zero, TUnits.HalfScale(scales, pair), totals);
            AddHalfRow<TTiles>(
                (words.AsUInt16() >>> 4).AsByte() & nibble, (next.AsUInt16() >>> 4).AsByte() & nibble, x, zeroBelow,
                TUnits.HalfScale(scales, pair + Pairs), totals + (LaneSums.Floats / 2));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddHalfRow<TTiles>(
        Vector256<byte> codes, Vector256<byte> next, byte* x, Vector256<int> zero, Vector256<float> scale, float* total)
        where TTiles : IConstant
    {
        Vector256<short> low = Avx2.MultiplyAddAdjacent(codes, Vector256.LoadAligned((sbyte*)x));
        Vector256<short> middle = Avx2.MultiplyAddAdjacent(codes, Vector256.LoadAligned((sbyte*)x + 64));
        Vector256<short> high = Avx2.MultiplyAddAdjacent(codes, Vector256.LoadAligned((sbyte*)x + 128));
        if (TTiles.Value == Two.Value)
        {
            x += TileX;
            low += Avx2.MultiplyAddAdjacent(next, Vector256.LoadAligned((sbyte*)x));
            middle += Avx2.MultiplyAddAdjacent(next, Vector256.LoadAligned((sbyte*)x + 64));
            high += Avx2.MultiplyAddAdjacent(next, Vector256.LoadAligned((sbyte*)x + 128));
        }

        Vector256<float> sum = Vector256.ConvertToSingle(Join(low, middle, high) - zero);
        Vector256.FusedMultiplyAdd(sum, scale, Vector256.LoadAligned(total)).StoreAligned(total);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Join(Vector256<short> low, Vector256<short> middle, Vector256<short> high)
    {
        var one = Vector256.Create((short)1);
        Vector256<int> upper = Avx2.MultiplyAddAdjacent(high, Vector256.Create((short)256)) + Avx2.MultiplyAddAdjacent(middle, one);
        return (upper << 8) + Avx2.MultiplyAddAdjacent(low, one);
    }
}
