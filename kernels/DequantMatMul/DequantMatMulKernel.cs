using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y = x · Wᵀ, W[r, k] = scale[r, k / G] · (code[r, k] − zero[r, k / G]), G a multiple of 64. x: [M, K] float; w: INT4 [N, K] with
/// 16-bit scales of <typeparamref name="TScale"/> and zero points of <typeparamref name="TZero"/>; y: [M, N] float. An item is a
/// quarter of a row tile (rows 2q, 2q + 1, 2q + 8, 2q + 9 of 16: eight lanes side by side) by up to four tokens: a full tile of tokens
/// takes two rows at a time, the rest of M one token at a time.
/// </summary>
/// <remarks>
/// Every path sums an output in the same order: (code − zero) · x within a group in one chain, tile by tile, lane by lane, word by
/// word; then scale · sum of the groups in order. Each addition has exactly one product as operand, so contraction to fused multiply-adds cannot
/// tell paths apart either, and an output's bits do not depend on M.
/// AggressiveOptimization spares the CPU accelerator's first steps the unoptimised code that .NET would start with.
/// </remarks>
[Instantiation(typeof(Bf16Format), typeof(SymmetricZero), typeof(DequantIndices))]
[Instantiation(typeof(F16Format), typeof(SymmetricZero), typeof(DequantIndices))]
[Instantiation(typeof(Bf16Format), typeof(StoredZero), typeof(DequantIndices))]
[Instantiation(typeof(F16Format), typeof(StoredZero), typeof(DequantIndices))]
internal readonly struct DequantMatMulKernel<TScale, TZero, TIndices>(
    Matrix<float> x, ArrayView<UInt4> codes, ArrayView<ushort> scales, ArrayView<byte> zeros, int groupSize, Matrix<float> y)
    : IPortableKernel
    where TScale : struct, INumberFormat<ushort>
    where TZero : struct, IZeroPoint
    where TIndices : struct, IDequantIndices
{
    private const int Quarters = 4;
    private const int TileTokens = 4;

    public int Items => RowQuarters * ((y.Rows + TileTokens - 1) / TileTokens);

    private int RowQuarters => Int4Layout.RowTiles(y.Columns) * Quarters;

    public static void DequantMatMul(Index1D thread, int threads, DequantMatMulKernel<TScale, TZero, TIndices> kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Execute(int item)
    {
        int rowTile = item % RowQuarters / Quarters;
        int row = item % Quarters * 2;                  // of the tile
        int token = item / RowQuarters * TileTokens;
        if (rowTile * Int4Layout.TileRows + row >= y.Columns)
            return;
        if (token + TileTokens <= y.Rows)
        {
            TwoRowsFourTokens(rowTile, row, token);
            TwoRowsFourTokens(rowTile, row + 1, token);
            return;
        }

        for (; token < y.Rows; token++)
            FourRowsOneToken(rowTile, row, token);
    }

    // Rows row, row + 1, row + 8, row + 9 of the tile.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void FourRowsOneToken(int rowTile, int row, int token)
    {
        ArrayView<float> xRow = x.Row(token);
        int groups = Int4Layout.Groups(x.Columns, groupSize);
        int groupTiles = groupSize / Int4Layout.TileColumns;
        ArrayView<UInt4> tiles = Tiles(rowTile, groups * groupTiles);
        long firstScale = Int4Layout.ScaleIndex(rowTile * Int4Layout.TileRows, 0, groups);
        ArrayView<ushort> tileScales = scales.SubView(firstScale, (long)groups * Int4Layout.TileRows);
        Float4 total = default;
        for (int group = 0; group < groups; group++)
        {
            Float4 sum = default;                       // rows row, row + 8, row + 1, row + 9
            int scale = TIndices.ScaleIndex(group, row);
            Float4 bases = TZero.FourBases(zeros, firstScale + scale);
            for (int tile = group * groupTiles; tile < (group + 1) * groupTiles; tile++)
            {
                int start = tile * Int4Layout.TileColumns;
                int lane = (tile * Int4Layout.TileLanes) + TIndices.FirstLane(row);
                if (start + Int4Layout.TileColumns <= x.Columns)
                {
                    for (int t = 0; t < 4; t++)
                        {
                        UInt4 a = tiles[lane + t];
                        UInt4 b = tiles[lane + t + 4];
                        ref XFragment xs = ref XFragment.At(xRow, start, t);
                        AddStep(ref sum, a.X, b.X, ref xs.Step0, bases);
                        AddStep(ref sum, a.Y, b.Y, ref xs.Step1, bases);
                        AddStep(ref sum, a.Z, b.Z, ref xs.Step2, bases);
                        AddStep(ref sum, a.W, b.W, ref xs.Step3, bases);
                    }

                    continue;
                }

                for (int k = start; k < TIndices.EndOfTail(x.Columns); k++)
                {
                    (int word, int nibble) = Int4Layout.InLane(k);
                    int at = lane + Int4Layout.LaneOf(k);
                    float value = xRow[k];
                    uint codes0 = Int4Layout.Word(tiles[at], word);
                    uint codes1 = Int4Layout.Word(tiles[at + 4], word);
                    sum.X += TZero.Unpack(codes0, nibble, bases.X) * value;
                    sum.Y += TZero.Unpack(codes0, nibble + 1, bases.Y) * value;
                    sum.Z += TZero.Unpack(codes1, nibble, bases.Z) * value;
                    sum.W += TZero.Unpack(codes1, nibble + 1, bases.W) * value;
                }
            }

            total.X += TScale.Load(tileScales[scale]) * sum.X;
            total.Y += TScale.Load(tileScales[scale + 8]) * sum.Y;
            total.Z += TScale.Load(tileScales[scale + 1]) * sum.Z;
            total.W += TScale.Load(tileScales[scale + 9]) * sum.W;
        }

        ArrayView<float> yRow = y.Row(token);
        int first = (rowTile * Int4Layout.TileRows) + row;
        yRow[first] = total.X;
        if (first + 8 < y.Columns)
            yRow[first + 8] = total.Y;
        if (first + 1 < y.Columns)
            yRow[first + 1] = total.Z;
        if (first + 9 < y.Columns)
            yRow[first + 9] = total.W;
    }

    // Rows row, row + 8 of the tile.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void TwoRowsFourTokens(int rowTile, int row, int token)
    {
        ArrayView<float> x0 = x.Row(token);
        ArrayView<float> x1 = x.Row(token + 1);
        ArrayView<float> x2 = x.Row(token + 2);
        ArrayView<float> x3 = x.Row(token + 3);
        int groups = Int4Layout.Groups(x.Columns, groupSize);
        int groupTiles = groupSize / Int4Layout.TileColumns;
        ArrayView<UInt4> tiles = Tiles(rowTile, groups * groupTiles);
        long firstScale = Int4Layout.ScaleIndex(rowTile * Int4Layout.TileRows, 0, groups);
        ArrayView<ushort> tileScales = scales.SubView(firstScale, (long)groups * Int4Layout.TileRows);
        Float4 total0 = default;
        Float4 total1 = default;
        for (int group = 0; group < groups; group++)
        {
            Float4 sum0 = default;
            Float4 sum1 = default;
            int scale = TIndices.ScaleIndex(group, row);
            float base0 = TZero.Base(zeros, firstScale + scale);
            float base1 = TZero.Base(zeros, firstScale + scale + 8);
            for (int tile = group * groupTiles; tile < (group + 1) * groupTiles; tile++)
            {
                int start = tile * Int4Layout.TileColumns;
                int lane = (tile * Int4Layout.TileLanes) + TIndices.FirstLane(row);
                if (start + Int4Layout.TileColumns <= x.Columns)
                {
                    for (int t = 0; t < 4; t++)
                    {
                        ref XFragment f0 = ref XFragment.At(x0, start, t);
                        ref XFragment f1 = ref XFragment.At(x1, start, t);
                        ref XFragment f2 = ref XFragment.At(x2, start, t);
                        ref XFragment f3 = ref XFragment.At(x3, start, t);
                        UInt4 words = tiles[lane + t];
                        AddStep(ref sum0, ref sum1, words.X, ref f0.Step0, ref f1.Step0, ref f2.Step0, ref f3.Step0, base0, base1);
                        AddStep(ref sum0, ref sum1, words.Y, ref f0.Step1, ref f1.Step1, ref f2.Step1, ref f3.Step1, base0, base1);
                        AddStep(ref sum0, ref sum1, words.Z, ref f0.Step2, ref f1.Step2, ref f2.Step2, ref f3.Step2, base0, base1);
                        AddStep(ref sum0, ref sum1, words.W, ref f0.Step3, ref f1.Step3, ref f2.Step3, ref f3.Step3, base0, base1);
                    }

                    continue;
                }

                for (int k = start; k < TIndices.EndOfTail(x.Columns); k++)
                {
                    (int word, int nibble) = Int4Layout.InLane(k);
                    uint codeWord = Int4Layout.Word(tiles[lane + Int4Layout.LaneOf(k)], word);
                    AddK(ref sum0, ref sum1, codeWord, nibble, x0[k], x1[k], x2[k], x3[k], base0, base1);
                }
            }

            AddScaled(ref total0, TScale.Load(tileScales[scale]), sum0);
            AddScaled(ref total1, TScale.Load(tileScales[scale + 8]), sum1);
        }

        int first = (rowTile * Int4Layout.TileRows) + row;
        if (first < y.Columns)
            Store(first, token, total0);
        if (first + 8 < y.Columns)
            Store(first + 8, token, total1);
    }

    private ArrayView<UInt4> Tiles(int rowTile, int columnTiles) => codes.SubView(
        Int4Layout.TileStart(rowTile, 0, columnTiles), (long)columnTiles * Int4Layout.TileLanes);

    private void Store(int row, int token, Float4 total)
    {
        y[token, row] = total.X;
        y[token + 1, row] = total.Y;
        y[token + 2, row] = total.Z;
        y[token + 3, row] = total.W;
    }

    // One word of the lanes of rows row, row + 8 (a) and of rows row + 1, row + 9 (b), against one token.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddStep(ref Float4 sum, uint a, uint b, ref XStep xs, Float4 bases)
    {
        float value = xs.Low.Low.X;
        sum.X += TZero.Unpack(a, 0, bases.X) * value;
        sum.Y += TZero.Unpack(a, 1, bases.Y) * value;
        sum.Z += TZero.Unpack(b, 0, bases.Z) * value;
        sum.W += TZero.Unpack(b, 1, bases.W) * value;
        value = xs.Low.Low.Y;
        sum.X += TZero.Unpack(a, 4, bases.X) * value;
        sum.Y += TZero.Unpack(a, 5, bases.Y) * value;
        sum.Z += TZero.Unpack(b, 4, bases.Z) * value;
        sum.W += TZero.Unpack(b, 5, bases.W) * value;
        value = xs.High.Low.X;
        sum.X += TZero.Unpack(a, 2, bases.X) * value;
        sum.Y += TZero.Unpack(a, 3, bases.Y) * value;
        sum.Z += TZero.Unpack(b, 2, bases.Z) * value;
        sum.W += TZero.Unpack(b, 3, bases.W) * value;
        value = xs.High.Low.Y;
        sum.X += TZero.Unpack(a, 6, bases.X) * value;
        sum.Y += TZero.Unpack(a, 7, bases.Y) * value;
        sum.Z += TZero.Unpack(b, 6, bases.Z) * value;
        sum.W += TZero.Unpack(b, 7, bases.W) * value;
    }

    // One word of a lane against four tokens: rows row (sum0) and row + 8 (sum1), four k each.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddStep(
        ref Float4 sum0, ref Float4 sum1, uint codes, ref XStep x0, ref XStep x1, ref XStep x2, ref XStep x3, float base0, float base1)
    {
        AddK(ref sum0, ref sum1, codes, 0, x0.Low.Low.X, x1.Low.Low.X, x2.Low.Low.X, x3.Low.Low.X, base0, base1);
        AddK(ref sum0, ref sum1, codes, 4, x0.Low.Low.Y, x1.Low.Low.Y, x2.Low.Low.Y, x3.Low.Low.Y, base0, base1);
        AddK(ref sum0, ref sum1, codes, 2, x0.High.Low.X, x1.High.Low.X, x2.High.Low.X, x3.High.Low.X, base0, base1);
        AddK(ref sum0, ref sum1, codes, 6, x0.High.Low.Y, x1.High.Low.Y, x2.High.Low.Y, x3.High.Low.Y, base0, base1);
    }

    // One k of rows row (the nibble) and row + 8 (the next nibble).
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddK(
        ref Float4 sum0, ref Float4 sum1, uint codes, int nibble, float x0, float x1, float x2, float x3, float base0, float base1)
    {
        float weight0 = TZero.Unpack(codes, nibble, base0);
        float weight1 = TZero.Unpack(codes, nibble + 1, base1);
        sum0.X += weight0 * x0;
        sum1.X += weight1 * x0;
        sum0.Y += weight0 * x1;
        sum1.Y += weight1 * x1;
        sum0.Z += weight0 * x2;
        sum1.Z += weight1 * x2;
        sum0.W += weight0 * x3;
        sum1.W += weight1 * x3;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddScaled(ref Float4 total, float scale, Float4 sum)
    {
        total.X += scale * sum.X;
        total.Y += scale * sum.Y;
        total.Z += scale * sum.Z;
        total.W += scale * sum.W;
    }
}
