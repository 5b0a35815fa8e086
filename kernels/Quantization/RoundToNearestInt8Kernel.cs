using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// w: [R, K] plain weights in 16-byte words of <typeparamref name="TWeight"/>; codes, scales: the destination, 16-bit scales of
/// <typeparamref name="TScale"/>. An item is one group of rows g and g + 8 of a row tile: two scales and four lanes of each of the
/// group's tiles.
/// </summary>
[Instantiation(typeof(F32Weights), typeof(Bf16Format))]
[Instantiation(typeof(F16Weights), typeof(Bf16Format))]
[Instantiation(typeof(Bf16Weights), typeof(Bf16Format))]
[Instantiation(typeof(F32Weights), typeof(F16Format))]
[Instantiation(typeof(F16Weights), typeof(F16Format))]
[Instantiation(typeof(Bf16Weights), typeof(F16Format))]
internal readonly partial struct RoundToNearestInt8Kernel<TWeight, TScale>(
    Matrix<UInt4> w, int columns, int firstRowTile, int groupSize, ArrayView<UInt4> codes, ArrayView<ushort> scales) : IPortableKernel
    where TWeight : struct, IWeightFormat
    where TScale : struct, IScaleFormat
{
    public int Items => Int8Layout.RowTiles(w.Rows) * Int8Layout.Groups(columns, groupSize) * 8;

    public static void RoundToNearestInt8(Index1D thread, int threads, RoundToNearestInt8Kernel<TWeight, TScale> kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int groups = Int8Layout.Groups(columns, groupSize);
        int g = item & 7;
        int group = (item >> 3) % groups;
        int rowTile = (item >> 3) / groups;
        int row = (rowTile * Int8Layout.TileRows) + g;
        int tileRow = ((firstRowTile + rowTile) * Int8Layout.TileRows) + g;
        float scaleA = StoreScale(row, group, tileRow, groups);
        float scaleB = StoreScale(row + 8, group, tileRow + 8, groups);
        int groupTiles = (int)((uint)groupSize / Int8Layout.TileColumns);
        for (int tile = group * groupTiles; tile < (group + 1) * groupTiles; tile++)
        {
            long tileStart = Int8Layout.TileStart(firstRowTile + rowTile, tile, groups * groupTiles);
            ArrayView<UInt4> lanes = codes.SubView(tileStart + (4 * g), 4);
            int octet = tile * (Int8Layout.TileColumns / 8);
            UInt2 a0 = Codes(row, octet, scaleA), b0 = Codes(row + 8, octet, scaleB);
            UInt2 a1 = Codes(row, octet + 1, scaleA), b1 = Codes(row + 8, octet + 1, scaleB);
            UInt2 a2 = Codes(row, octet + 2, scaleA), b2 = Codes(row + 8, octet + 2, scaleB);
            UInt2 a3 = Codes(row, octet + 3, scaleA), b3 = Codes(row + 8, octet + 3, scaleB);
            for (int t = 0; t < 4; t++)
            {
                lanes[t] = new UInt4(
                    Int8Layout.LaneWord(t, a0, b0), Int8Layout.LaneWord(t, a1, b1), Int8Layout.LaneWord(t, a2, b2),
                    Int8Layout.LaneWord(t, a3, b3));
            }
        }
    }

    // The group's scale as stored, 0 for a padding row.
    private float StoreScale(int row, int group, int tileRow, int groups)
    {
        float largest = 0;
        if (row < w.Rows)
        {
            ArrayView<UInt4> words = w.Row(row);
            int end = (group + 1) * groupSize < columns ? (group + 1) * groupSize : columns;
            for (int octet = (group * groupSize) >> 3; octet * 8 < end; octet++)
            {
                UInt4 first = TWeight.FirstWord(words, octet);
                largest = Magnitude.Larger(largest, TWeight.First(first));
                largest = Magnitude.Larger(largest, TWeight.Second(TWeight.SecondWord(words, octet, first)));
            }
        }

        ushort scale = TScale.Store(RoundToNearestInt8Rule.Scale(largest, TScale.Largest));
        scales[Int8Layout.ScaleIndex(tileRow, group, groups)] = scale;
        return TScale.Load(scale);
    }

    // The codes of k 8·octet … 8·octet + 7, a byte each in the order of k. Behind a row's last k its words hold zeros.
    private UInt2 Codes(int row, int octet, float scale)
    {
        if (row >= w.Rows || octet * 8 >= columns)
            return default;
        ArrayView<UInt4> words = w.Row(row);
        UInt4 firstWord = TWeight.FirstWord(words, octet);
        return new UInt2(
            Bytes(TWeight.First(firstWord), scale), Bytes(TWeight.Second(TWeight.SecondWord(words, octet, firstWord)), scale));
    }

    private static uint Bytes(Float4 weights, float scale) =>
        ((uint)RoundToNearestInt8Rule.Code(weights.X, scale) & 255u)
        | (((uint)RoundToNearestInt8Rule.Code(weights.Y, scale) & 255u) << 8)
        | (((uint)RoundToNearestInt8Rule.Code(weights.Z, scale) & 255u) << 16)
        | (((uint)RoundToNearestInt8Rule.Code(weights.W, scale) & 255u) << 24);
}

/// <summary>
/// scale = max|w| / 127, rounded to the scale's 16-bit type; code = clamp(round(w / scale), −127, 127), ties to even. A scale rounded
/// down puts max|w| at 127.25 steps at most (bf16 rounds to 2^-9), so that no weight is off by more than half a step of the scale as
/// stored (but for scales below or beyond their type's normal range). Only IEEE operations, so host and every device agree in bits.
/// </summary>
internal static class RoundToNearestInt8Rule
{
    /// <summary>The scale of weights up to <paramref name="largest"/>, at most the largest that its type holds.</summary>
    public static float Scale(float largest, float largestScale)
    {
        float scale = largest / 127f;
        return scale > largestScale ? largestScale : scale;
    }

    /// <summary>The code −127 … 127 of a weight. A group of zeros, or of weights below the scale's range, gets scale and code 0.</summary>
    public static int Code(float weight, float scale)
    {
        if (scale == 0)
            return 0;
        float steps = weight / scale;
        if (!(steps > -127))
            return -127;
        if (steps > 127)
            return 127;

        // Adding and subtracting 1.5 · 2^23 rounds to an integer, ties to even.
        return (int)(steps + 12582912f - 12582912f);
    }
}
