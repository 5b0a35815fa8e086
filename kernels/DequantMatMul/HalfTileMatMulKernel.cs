using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y = x · Wᵀ by tiles of 32 k: INT8 weights, and INT4 weights in groups of 32. x: [M, K] float; w: [N, K] in tiles of
/// <typeparamref name="TTiles"/> with 16-bit scales of <typeparamref name="TScale"/>; y: [M, N] float. An item is the rows g, g + 8 of a
/// row tile (four lanes side by side) by up to four tokens: all four at once, the rest of M one at a time.
/// </summary>
/// <remarks>
/// Both paths sum an output in the same order: weight · x within a tile in one chain, lane by lane; the tiles of a group; then
/// scale · sum of the groups. Each addition has at most one product as operand, so contraction to fused multiply-adds cannot tell them
/// apart, and an output's bits do not depend on M. A last tile that K ends in meets zeros for x.
/// </remarks>
[Instantiation(typeof(Int4HalfTiles<SymmetricZero>), typeof(Bf16Format), typeof(DequantIndices))]
[Instantiation(typeof(Int4HalfTiles<SymmetricZero>), typeof(F16Format), typeof(DequantIndices))]
[Instantiation(typeof(Int4HalfTiles<StoredZero>), typeof(Bf16Format), typeof(DequantIndices))]
[Instantiation(typeof(Int4HalfTiles<StoredZero>), typeof(F16Format), typeof(DequantIndices))]
[Instantiation(typeof(Int8Tiles), typeof(Bf16Format), typeof(DequantIndices))]
[Instantiation(typeof(Int8Tiles), typeof(F16Format), typeof(DequantIndices))]
internal readonly struct HalfTileMatMulKernel<TTiles, TScale, TIndices>(
    Matrix<float> x, ArrayView<UInt4> codes, ArrayView<ushort> scales, ArrayView<byte> zeros, int groupSize, Matrix<float> y)
    : IPortableKernel
    where TTiles : struct, ITileFormat
    where TScale : struct, INumberFormat<ushort>
    where TIndices : struct, IDequantIndices
{
    private const int Pairs = Int8Layout.TileRows / 2;
    private const int TileColumns = Int8Layout.TileColumns;
    private const int TileTokens = 4;

    public int Items => RowPairs * ((y.Rows + TileTokens - 1) / TileTokens);

    private int RowPairs => Int8Layout.RowTiles(y.Columns) * Pairs;

    private int Groups => Int8Layout.Groups(x.Columns, groupSize);

    public static void HalfTileMatMul(Index1D thread, int threads, HalfTileMatMulKernel<TTiles, TScale, TIndices> kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Execute(int item)
    {
        int rowTile = item % RowPairs / Pairs;
        int row = item % Pairs;                         // of the tile
        int token = item / RowPairs * TileTokens;
        if ((rowTile * Int8Layout.TileRows) + row >= y.Columns)
            return;
        if (token + TileTokens <= y.Rows)
        {
            FourTokens(rowTile, row, token);
            return;
        }

        for (; token < y.Rows; token++)
            OneToken(rowTile, row, token);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void OneToken(int rowTile, int row, int token)
    {
        ArrayView<float> xRow = x.Row(token);
        ArrayView<UInt4> words = TTiles.RowTile(codes, rowTile, x.Columns, groupSize);
        int groupTiles = groupSize / TileColumns;
        float above = 0;
        float below = 0;
        for (int group = 0; group < Groups; group++)
        {
            long scale = ScaleIndex(rowTile, row, group);
            float aboveBase = TTiles.Base(zeros, scale);
            float belowBase = TTiles.Base(zeros, scale + 8);
            float groupAbove = 0;
            float groupBelow = 0;
            for (int tile = group * groupTiles; tile < (group + 1) * groupTiles; tile++)
            {
                float tileAbove = 0;
                float tileBelow = 0;
                int lane = TTiles.FirstLane(tile) + TIndices.FirstLane(row);
                for (int t = 0; t < 4; t++)
                {
                    UInt4 word = words[lane + t];
                    int k = (tile * TileColumns) + (2 * t);
                    StepWeights weights = TTiles.First(word, tile, aboveBase, belowBase);
                    Float4 values = Values(xRow, k);
                    Add(ref tileAbove, weights.Above, values);
                    Add(ref tileBelow, weights.Below, values);
                    weights = TTiles.Second(word, tile, aboveBase, belowBase);
                    values = Values(xRow, k + 16);
                    Add(ref tileAbove, weights.Above, values);
                    Add(ref tileBelow, weights.Below, values);
                }

                groupAbove += tileAbove;
                groupBelow += tileBelow;
            }

            above += TScale.Load(scales[scale]) * groupAbove;
            below += TScale.Load(scales[scale + 8]) * groupBelow;
        }

        int output = (rowTile * Int8Layout.TileRows) + row;
        y[token, output] = above;
        if (output + 8 < y.Columns)
            y[token, output + 8] = below;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void FourTokens(int rowTile, int row, int token)
    {
        ArrayView<float> x0 = x.Row(token);
        ArrayView<float> x1 = x.Row(token + 1);
        ArrayView<float> x2 = x.Row(token + 2);
        ArrayView<float> x3 = x.Row(token + 3);
        ArrayView<UInt4> words = TTiles.RowTile(codes, rowTile, x.Columns, groupSize);
        int groupTiles = groupSize / TileColumns;
        Float4 above = default;
        Float4 below = default;
        for (int group = 0; group < Groups; group++)
        {
            long scale = ScaleIndex(rowTile, row, group);
            float aboveBase = TTiles.Base(zeros, scale);
            float belowBase = TTiles.Base(zeros, scale + 8);
            Float4 groupAbove = default;
            Float4 groupBelow = default;
            for (int tile = group * groupTiles; tile < (group + 1) * groupTiles; tile++)
            {
                Float4 tileAbove = default;
                Float4 tileBelow = default;
                int lane = TTiles.FirstLane(tile) + TIndices.FirstLane(row);
                for (int t = 0; t < 4; t++)
                {
                    UInt4 word = words[lane + t];
                    int k = (tile * TileColumns) + (2 * t);
                    StepWeights weights = TTiles.First(word, tile, aboveBase, belowBase);
                    AddStep(ref tileAbove, ref tileBelow, weights, Values(x0, k), Values(x1, k), Values(x2, k), Values(x3, k));
                    weights = TTiles.Second(word, tile, aboveBase, belowBase);
                    k += 16;
                    AddStep(ref tileAbove, ref tileBelow, weights, Values(x0, k), Values(x1, k), Values(x2, k), Values(x3, k));
                }

                groupAbove += tileAbove;
                groupBelow += tileBelow;
            }

            AddScaled(ref above, TScale.Load(scales[scale]), groupAbove);
            AddScaled(ref below, TScale.Load(scales[scale + 8]), groupBelow);
        }

        int output = (rowTile * Int8Layout.TileRows) + row;
        Store(token, output, above);
        if (output + 8 < y.Columns)
            Store(token, output + 8, below);
    }

    private long ScaleIndex(int rowTile, int row, int group) =>
        Int8Layout.ScaleIndex(rowTile * Int8Layout.TileRows, 0, Groups) + TIndices.ScaleIndex(group, row);

    private void Store(int token, int row, Float4 values)
    {
        y[token, row] = values.X;
        y[token + 1, row] = values.Y;
        y[token + 2, row] = values.Z;
        y[token + 3, row] = values.W;
    }

    // Elements k, k + 1, k + 8, k + 9 of a row, zeros behind its end: what one lane's step meets.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 Values(ArrayView<float> row, int k)
    {
        int end = TIndices.EndOfTail((int)row.Length);
        if (k + 9 < end)
        {
            ref XStep step = ref Unsafe.As<float, XStep>(ref row[k]);
            return new Float4(step.Low.Low.X, step.Low.Low.Y, step.High.Low.X, step.High.Low.Y);
        }

        return new Float4(
            k < end ? row[k] : 0, k + 1 < end ? row[k + 1] : 0, k + 8 < end ? row[k + 8] : 0, k + 9 < end ? row[k + 9] : 0);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(ref float sum, Float4 weights, Float4 values)
    {
        sum += weights.X * values.X;
        sum += weights.Y * values.Y;
        sum += weights.Z * values.Z;
        sum += weights.W * values.W;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddStep(
        ref Float4 above, ref Float4 below, StepWeights weights, Float4 x0, Float4 x1, Float4 x2, Float4 x3)
    {
        Add(ref above.X, weights.Above, x0);
        Add(ref above.Y, weights.Above, x1);
        Add(ref above.Z, weights.Above, x2);
        Add(ref above.W, weights.Above, x3);
        Add(ref below.X, weights.Below, x0);
        Add(ref below.Y, weights.Below, x1);
        Add(ref below.Z, weights.Below, x2);
        Add(ref below.W, weights.Below, x3);
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
