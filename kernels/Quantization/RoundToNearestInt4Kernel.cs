using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// w: [R, K] plain weights in 16-byte words of <typeparamref name="TWeight"/>; codes, scales: the destination, 16-bit scales of
/// <typeparamref name="TScale"/>. An item is one group of rows g and g + 8 of a row tile: two scales and four lanes of each of the
/// group's tiles. Groups of 32 come in pairs, a tile's two halves.
/// </summary>
[Instantiation(typeof(F32Weights), typeof(Bf16Format))]
[Instantiation(typeof(F16Weights), typeof(Bf16Format))]
[Instantiation(typeof(Bf16Weights), typeof(Bf16Format))]
[Instantiation(typeof(F32Weights), typeof(F16Format))]
[Instantiation(typeof(F16Weights), typeof(F16Format))]
[Instantiation(typeof(Bf16Weights), typeof(F16Format))]
internal readonly partial struct RoundToNearestInt4Kernel<TWeight, TScale>(
    Matrix<UInt4> w, int columns, int firstRowTile, int groupSize, ArrayView<UInt4> codes, ArrayView<ushort> scales) : IPortableKernel
    where TWeight : struct, IWeightFormat
    where TScale : struct, IScaleFormat
{
    /// <summary>Eight codes that stand for zero.</summary>
    private const uint ZeroWord = 0x88888888u;

    public int Items => Int4Layout.RowTiles(w.Rows) * Spans * 8;

    // What an item covers: the tiles of a group, or one tile of two groups.
    private int SpanTiles => groupSize < Int4Layout.TileColumns ? 1 : (int)((uint)groupSize / Int4Layout.TileColumns);

    private int Spans => Int4Layout.ColumnTiles(columns, groupSize) / SpanTiles;

    public static void RoundToNearestInt4(Index1D thread, int threads, RoundToNearestInt4Kernel<TWeight, TScale> kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int groups = Int4Layout.Groups(columns, groupSize);
        int g = item & 7;
        int span = (item >> 3) % Spans;
        int rowTile = (item >> 3) / Spans;
        int row = (rowTile * Int4Layout.TileRows) + g;
        int tileRow = ((firstRowTile + rowTile) * Int4Layout.TileRows) + g;
        bool isPair = groupSize < Int4Layout.TileColumns;
        int group = isPair ? 2 * span : span;
        float leftA = StoreScale(row, group, tileRow, groups);
        float leftB = StoreScale(row + 8, group, tileRow + 8, groups);
        float rightA = leftA;
        float rightB = leftB;
        if (isPair && group + 1 < groups)
        {
            rightA = StoreScale(row, group + 1, tileRow, groups);
            rightB = StoreScale(row + 8, group + 1, tileRow + 8, groups);
        }

        for (int tile = span * SpanTiles; tile < (span + 1) * SpanTiles; tile++)
        {
            long tileStart = Int4Layout.TileStart(firstRowTile + rowTile, tile, Spans * SpanTiles);
            ArrayView<UInt4> lanes = codes.SubView(tileStart + (4 * g), 4);
            int octet = tile * (Int4Layout.TileColumns / 8);
            uint a0 = Codes(row, octet, leftA), b0 = Codes(row + 8, octet, leftB);
            uint a1 = Codes(row, octet + 1, leftA), b1 = Codes(row + 8, octet + 1, leftB);
            uint a2 = Codes(row, octet + 2, leftA), b2 = Codes(row + 8, octet + 2, leftB);
            uint a3 = Codes(row, octet + 3, leftA), b3 = Codes(row + 8, octet + 3, leftB);
            uint a4 = Codes(row, octet + 4, rightA), b4 = Codes(row + 8, octet + 4, rightB);
            uint a5 = Codes(row, octet + 5, rightA), b5 = Codes(row + 8, octet + 5, rightB);
            uint a6 = Codes(row, octet + 6, rightA), b6 = Codes(row + 8, octet + 6, rightB);
            uint a7 = Codes(row, octet + 7, rightA), b7 = Codes(row + 8, octet + 7, rightB);
            for (int t = 0; t < 4; t++)
            {
                lanes[t] = new UInt4(
                    Int4Layout.LaneWord(t, a0, a1, b0, b1),
                    Int4Layout.LaneWord(t, a2, a3, b2, b3),
                    Int4Layout.LaneWord(t, a4, a5, b4, b5),
                    Int4Layout.LaneWord(t, a6, a7, b6, b7));
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
            int end = Min((group + 1) * groupSize, columns);
            for (int octet = (group * groupSize) >> 3; octet * 8 < end; octet++)
            {
                UInt4 first = TWeight.FirstWord(words, octet);
                largest = Magnitude.Larger(largest, TWeight.First(first));
                largest = Magnitude.Larger(largest, TWeight.Second(TWeight.SecondWord(words, octet, first)));
            }
        }

        ushort scale = TScale.Store(RoundToNearestInt4Rule.Scale(largest, TScale.Largest));
        scales[Int4Layout.ScaleIndex(tileRow, group, groups)] = scale;
        return TScale.Load(scale);
    }

    // The codes of k 8·octet … 8·octet + 7, four bits each in the order of k.
    private uint Codes(int row, int octet, float scale)
    {
        if (row >= w.Rows || octet * 8 >= columns)
            return ZeroWord;
        ArrayView<UInt4> words = w.Row(row);
        UInt4 firstWord = TWeight.FirstWord(words, octet);
        Float4 first = TWeight.First(firstWord);
        Float4 second = TWeight.Second(TWeight.SecondWord(words, octet, firstWord));
        return RoundToNearestInt4Rule.Code(first.X, scale)
            | (RoundToNearestInt4Rule.Code(first.Y, scale) << 4)
            | (RoundToNearestInt4Rule.Code(first.Z, scale) << 8)
            | (RoundToNearestInt4Rule.Code(first.W, scale) << 12)
            | (RoundToNearestInt4Rule.Code(second.X, scale) << 16)
            | (RoundToNearestInt4Rule.Code(second.Y, scale) << 20)
            | (RoundToNearestInt4Rule.Code(second.Z, scale) << 24)
            | (RoundToNearestInt4Rule.Code(second.W, scale) << 28);
    }

    private static int Min(int a, int b) => a < b ? a : b;
}

/// <summary>
/// scale = max|w| / 7.5, rounded to the scale's 16-bit type; code = 8 + clamp(round(w / scale), −8, 7), ties to even. With 7.5 the
/// sixteen codes' cells tile [−8.5, 7.5] · scale and max|w| falls on the upper end, so no weight of either sign is off by more than
/// half a step (but for the scale's own rounding), the least that a symmetric scale allows: max|w| / 7 has the same bound with larger
/// steps, max|w| / 8 is off by a whole step at +max|w|. Only IEEE operations, so host and every device agree in bits.
/// </summary>
internal static class RoundToNearestInt4Rule
{
    /// <summary>The scale of weights up to <paramref name="largest"/>, at most the largest that its type holds.</summary>
    public static float Scale(float largest, float largestScale)
    {
        float scale = largest / 7.5f;
        return scale > largestScale ? largestScale : scale;
    }

    /// <summary>The stored code 0 … 15 of a weight. A group of zeros, or of weights below the scale's range, gets scale 0 and code 8.</summary>
    public static uint Code(float weight, float scale)
    {
        if (scale == 0)
            return Int4Layout.Zero;
        float steps = weight / scale;
        if (!(steps > -8))
            return 0;
        if (steps > 7)
            return 15;

        // Adding and subtracting 1.5 · 2^23 rounds to an integer, ties to even.
        return (uint)((int)(steps + 12582912f - 12582912f) + Int4Layout.Zero);
    }
}
