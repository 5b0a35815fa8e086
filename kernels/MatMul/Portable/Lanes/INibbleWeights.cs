using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>
/// How sixteen nibbles become weights scale · (code − zero), exactly: code · scale + bias, where the bias is −scale · zero, or a table of
/// the sixteen weights that a row of a group has; or FP4's scale · value.
/// </summary>
internal unsafe interface INibbleWeights
{
    /// <summary>Writes scales and biases of a row tile for the columns from … to, at most a stretch: <see cref="Int4Lanes.Numbers"/> floats.</summary>
    static abstract void Prepare(in CpuWeights w, long rowTile, int from, int to, float* numbers);

    /// <summary>Those of the tile that begins at column k, of the columns from …</summary>
    static abstract float* OfTile(in CpuWeights w, float* numbers, int from, int k);

    /// <summary>The table of a row of that tile, or its scales.</summary>
    static abstract Vector512<float> First(float* numbers, int row);

    /// <summary>Its biases, where there is no table.</summary>
    static abstract Vector512<float> Second(float* numbers, int row);

    /// <summary>The weights of the lowest four bits of each word.</summary>
    static abstract Vector512<float> Weights(Vector512<uint> words, Vector512<float> first, Vector512<float> second);
}

/// <summary>
/// A group is a tile or several: sixteen scales, then sixteen biases. With AVX-512 a permutation, which sees the lowest four bits of its
/// indices, looks a weight up in the table.
/// </summary>
internal readonly unsafe struct WholeTileNibbles : INibbleWeights
{
    private const int GroupNumbers = 2 * LaneSums.Rows;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Prepare(in CpuWeights w, long rowTile, int from, int to, float* numbers)
    {
        for (int group = from / w.GroupSize; group * w.GroupSize < to; group++)
        {
            Vector512<float> scales = TileScales.Scales(w, rowTile, group);
            scales.StoreAligned(numbers);
            (scales * -TileScales.Zeros(w, rowTile, group)).StoreAligned(numbers + LaneSums.Rows);
            numbers += GroupNumbers;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float* OfTile(in CpuWeights w, float* numbers, int from, int k) =>
        numbers + (((k / w.GroupSize) - (from / w.GroupSize)) * GroupNumbers);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> First(float* numbers, int row)
    {
        Vector512<float> scale = Vector512.Create(numbers[row]);
        return Avx512F.IsSupported
            ? Vector512.FusedMultiplyAdd(Codes, scale, Vector512.Create(numbers[row + LaneSums.Rows]))
            : scale;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Second(float* numbers, int row) =>
        Avx512F.IsSupported ? default : Vector512.Create(numbers[row + LaneSums.Rows]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Weights(Vector512<uint> words, Vector512<float> first, Vector512<float> second) =>
        Avx512F.IsSupported ? Avx512F.PermuteVar16x32(first, words.AsInt32()) : HalfTileNibbles.Weights(words, first, second);

    /// <summary>The sixteen codes there are.</summary>
    public static Vector512<float> Codes => Vector512.Create(0f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

/// <summary>
/// Groups of 32, two of them in a tile. Words 0 and 1 of a lane are of the first: a row has both its scales twice, then both its biases.
/// </summary>
internal readonly unsafe struct HalfTileNibbles : INibbleWeights
{
    private const int RowNumbers = 8;
    private const int TileNumbers = RowNumbers * LaneSums.Rows;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Prepare(in CpuWeights w, long rowTile, int from, int to, float* numbers)
    {
        for (int k = from; k < to; k += Int4Layout.TileColumns)
        {
            int group = k / w.GroupSize;
            int next = Math.Min(group + 1, w.Groups - 1);   // K may end in the first half: there x is 0
            Vector512<float> scales = TileScales.Scales(w, rowTile, group);
            Vector512<float> nextScales = TileScales.Scales(w, rowTile, next);
            Interleave(scales, nextScales, numbers, RowNumbers);
            Interleave(
                scales * -TileScales.Zeros(w, rowTile, group), nextScales * -TileScales.Zeros(w, rowTile, next), numbers + (RowNumbers / 2),
                RowNumbers);
            numbers += TileNumbers;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float* OfTile(in CpuWeights w, float* numbers, int from, int k) =>
        numbers + ((k - from) / Int4Layout.TileColumns * TileNumbers);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> First(float* numbers, int row) => Repeat(numbers + (row * RowNumbers));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Second(float* numbers, int row) => Repeat(numbers + (row * RowNumbers) + (RowNumbers / 2));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Weights(Vector512<uint> words, Vector512<float> first, Vector512<float> second)
    {
        Vector512<float> codes = Avx512F.IsSupported
            ? Avx512F.PermuteVar16x32(WholeTileNibbles.Codes, words.AsInt32())
            : Vector512.ConvertToSingle((words & Vector512.Create(15u)).AsInt32());
        return Vector512.FusedMultiplyAdd(codes, first, second);
    }

    /// <summary>Four floats four times.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Repeat(float* four)
    {
        if (Avx512F.IsSupported)
            return Avx512F.BroadcastVector128ToVector512(four);
        Vector256<float> eight = Avx.BroadcastVector128ToVector256(four);
        return Vector512.Create(eight, eight);
    }

    /// <summary>Of each row r the four floats a[r], a[r], b[r], b[r], the rows so many apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Interleave(Vector512<float> a, Vector512<float> b, float* numbers, int rowNumbers)
    {
        InterleaveFour(a.GetLower().GetLower(), b.GetLower().GetLower(), numbers, rowNumbers);
        InterleaveFour(a.GetLower().GetUpper(), b.GetLower().GetUpper(), numbers + (4 * rowNumbers), rowNumbers);
        InterleaveFour(a.GetUpper().GetLower(), b.GetUpper().GetLower(), numbers + (8 * rowNumbers), rowNumbers);
        InterleaveFour(a.GetUpper().GetUpper(), b.GetUpper().GetUpper(), numbers + (12 * rowNumbers), rowNumbers);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void InterleaveFour(Vector128<float> a, Vector128<float> b, float* numbers, int rowNumbers)
    {
        Vector128<float> twiceA = Sse.UnpackLow(a, a);
        Vector128<float> twiceB = Sse.UnpackLow(b, b);
        Sse.MoveLowToHigh(twiceA, twiceB).StoreAligned(numbers);
        Sse.MoveHighToLow(twiceB, twiceA).StoreAligned(numbers + rowNumbers);
        twiceA = Sse.UnpackHigh(a, a);
        twiceB = Sse.UnpackHigh(b, b);
        Sse.MoveLowToHigh(twiceA, twiceB).StoreAligned(numbers + (2 * rowNumbers));
        Sse.MoveHighToLow(twiceB, twiceA).StoreAligned(numbers + (3 * rowNumbers));
    }
}
