using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y = x · Wᵀ in vectors of sixteen lanes, a row tile of sixteen outputs at a time. A few tokens are multiplied with the weights as they
/// come out of memory, one after the other, the row tile being in a cache for the second; more of them with weights that were unpacked once.
/// </summary>
/// <remarks>
/// Both ways sum an output alike. Every lane sums the products of its k, in the order that the storage gives them, with fused additions
/// from zero over a stretch of <see cref="LaneOrder.Stretch"/> columns, or over so many INT8 or FP8 codes as have one scale; these sums,
/// times that scale, join the lane's total; the sixteen totals join in a tree, whose sum FP4's global scale multiplies. So an output's bits
/// depend neither on M nor on the threads. Weights and codes are exact: the sums alone round.
/// </remarks>
internal static unsafe class CpuMatMul
{
    private const int DirectTokens = 3;
    private const int BlockTokens = 96;

    // Bytes of arranged x that a block of tokens may have: half of a second-level cache.
    private const long BlockBytes = 1 << 19;

    /// <summary>
    /// What one thread does. In fixed point, for quantised weights, each token comes straight from memory with fewer instructions a weight; an
    /// output is then within Σ |w| · 2^-23 of the largest |x| of its 128 columns of what exact x would give.
    /// </summary>
    public static void Run(int thread, int threads, Matrix<float> x, CpuWeights w, Matrix<float> y, bool inFixedPoint = false)
    {
        CpuPart tiles = CpuPart.Of((y.Columns + LaneSums.Rows - 1) / LaneSums.Rows, thread, threads);
        if (tiles.From == tiles.To)
            return;
        if (y.Rows <= DirectTokens && !inFixedPoint)
        {
            MultiplyDirectly(tiles, x, w, y);
            return;
        }

        int blocks = (y.Rows + TokensOfBlock(x.Columns) - 1) / TokensOfBlock(x.Columns);
        for (int block = 0; block < blocks; block++)
        {
            CpuPart tokens = CpuPart.Of(y.Rows, thread: block, threads: blocks);
            if (inFixedPoint)
                MultiplyInFixedPoint(tiles, tokens, x, w, y);
            else
                MultiplyUnpacked(tiles, tokens, x, w, y);
        }
    }

    private static int TokensOfBlock(int columns) =>
        (int)Math.Clamp(BlockBytes / ((long)columns * sizeof(float)) / 12 * 12, 24, BlockTokens);

    private static void MultiplyDirectly(CpuPart tiles, Matrix<float> x, CpuWeights w, Matrix<float> y)
    {
        long stretchFloats = (long)y.Rows * LaneOrder.Stretch;
        float* totals = CpuVectors.Scratch((2 * LaneSums.Floats) + Int4Lanes.Numbers + LaneOrder.Floats(y.Rows, x.Columns));
        float* sums = totals + LaneSums.Floats;
        float* numbers = sums + LaneSums.Floats;
        float* arranged = numbers + Int4Lanes.Numbers;
        LaneOrder.Arrange(x, 0, y.Rows, w.Kind, arranged);
        for (int tile = tiles.From; tile < tiles.To; tile++)
        {
            int rows = Math.Min(y.Columns - (tile * LaneSums.Rows), LaneSums.Rows);
            for (int token = 0; token < y.Rows; token++)
            {
                float* xs = arranged + (token * LaneOrder.Stretch);
                switch (w.Kind)
                {
                    case CpuWeightKind.Int4 when w.GroupSize < Int4Layout.TileColumns:
                        Int4Lanes.Multiply<HalfTileNibbles>(w, tile, x.Columns, xs, stretchFloats, sums, numbers, totals);
                        break;
                    case CpuWeightKind.Int4:
                        Int4Lanes.Multiply<WholeTileNibbles>(w, tile, x.Columns, xs, stretchFloats, sums, numbers, totals);
                        break;
                    case CpuWeightKind.Fp4:
                        Int4Lanes.Multiply<Fp4Nibbles>(w, tile, x.Columns, xs, stretchFloats, sums, numbers, totals);
                        break;
                    case CpuWeightKind.Int8:
                        ByteLanes.Multiply<Int8Codes>(w, tile, x.Columns, xs, stretchFloats, numbers, totals);
                        break;
                    case CpuWeightKind.Fp8:
                        ByteLanes.Multiply<Fp8Codes>(w, tile, x.Columns, xs, stretchFloats, numbers, totals);
                        break;
                    case CpuWeightKind.Bf16:
                        DenseLanes.Multiply<Bf16Lanes>(w, tile, rows, x.Columns, xs, stretchFloats, numbers, totals);
                        break;
                    case CpuWeightKind.F16:
                        DenseLanes.Multiply<F16DenseLanes>(w, tile, rows, x.Columns, xs, stretchFloats, numbers, totals);
                        break;
                    default:
                        DenseLanes.Multiply<F32Lanes>(w, tile, rows, x.Columns, xs, stretchFloats, numbers, totals);
                        break;
                }

                Store(totals, w.Global, y, token, tile, rows);
            }
        }
    }

    private static void MultiplyInFixedPoint(CpuPart tiles, CpuPart tokens, Matrix<float> x, CpuWeights w, Matrix<float> y)
    {
        int count = tokens.To - tokens.From;
        int unitsOfToken = FixedPointRows.Blocks(x.Columns);
        float* totals = CpuVectors.Scratch(
            LaneSums.Floats + Int4Integers.Numbers + LaneOrder.Floats(count, x.Columns) + ((long)count * unitsOfToken));
        float* numbers = totals + LaneSums.Floats;
        float* arranged = numbers + Int4Integers.Numbers;
        float* units = arranged + LaneOrder.Floats(count, x.Columns);
        long stretchFloats = (long)count * LaneOrder.Stretch;
        LaneOrder.Arrange(x, tokens.From, count, w.Kind, arranged);
        FixedPointRows.Convert(arranged, count, x.Columns, w.Kind, units);
        for (int tile = tiles.From; tile < tiles.To; tile++)
        {
            int rows = Math.Min(y.Columns - (tile * LaneSums.Rows), LaneSums.Rows);
            for (int token = 0; token < count; token++)
            {
                float* xs = arranged + (token * LaneOrder.Stretch);
                float* xUnits = units + ((long)token * unitsOfToken);
                if (w.Kind == CpuWeightKind.Int8)
                    Int8Integers.Multiply(w, tile, x.Columns, xs, stretchFloats, xUnits, numbers, totals);
                else if (w.GroupSize < Int4Layout.TileColumns)
                    Int4Integers.Multiply<HalfTileUnits>(w, tile, x.Columns, xs, stretchFloats, xUnits, numbers, totals);
                else
                    Int4Integers.Multiply<WholeUnits>(w, tile, x.Columns, xs, stretchFloats, xUnits, numbers, totals);
                Store(totals, w.Global, y, tokens.From + token, tile, rows);
            }
        }
    }

    private static void MultiplyUnpacked(CpuPart tiles, CpuPart tokens, Matrix<float> x, CpuWeights w, Matrix<float> y)
    {
        int count = tokens.To - tokens.From;
        float* totals = CpuVectors.Scratch(
            ((long)count * LaneSums.Floats) + (LaneSums.Rows * LaneOrder.Stretch) + Int4Lanes.Numbers + LaneOrder.Floats(count, x.Columns));
        float* weights = totals + (count * LaneSums.Floats);
        float* numbers = weights + (LaneSums.Rows * LaneOrder.Stretch);
        float* arranged = numbers + Int4Lanes.Numbers;
        LaneOrder.Arrange(x, tokens.From, count, w.Kind, arranged);
        for (int tile = tiles.From; tile < tiles.To; tile++)
        {
            int rows = Math.Min(y.Columns - (tile * LaneSums.Rows), LaneSums.Rows);
            for (int token = 0; token < count; token++)
                LaneSums.Clear(totals + (token * LaneSums.Floats));
            float* xs = arranged;
            for (int from = 0; from < x.Columns; from += LaneOrder.Stretch)
            {
                int to = Math.Min(from + LaneOrder.Stretch, x.Columns);
                int columns = Unpack(w, tile, rows, from, to, weights, numbers);
                float* scales = numbers;
                for (int k = 0; k < columns; scales += LaneSums.Rows)
                {
                    int segment = w.HasByteCodes ? Math.Min(ByteLanes.Segment(w, from + k, LaneOrder.Stretch), columns - k) : columns;
                    if (Avx512F.IsSupported)
                        TokenTile.Multiply(weights + k, rows, xs + k, count, segment, scales, totals);
                    else
                        HalfTokenTile.Multiply(weights + k, rows, xs + k, count, segment, scales, totals);
                    k += segment;
                }

                xs += (long)count * LaneOrder.Stretch;
            }

            for (int token = 0; token < count; token++)
                Store(totals + (token * LaneSums.Floats), w.Global, y, tokens.From + token, tile, rows);
        }
    }

    // Answers how many columns there are with the padding of the storage, to which x is 0. Their scales are the first of the numbers.
    private static int Unpack(in CpuWeights w, int tile, int rows, int from, int to, float* weights, float* numbers)
    {
        switch (w.Kind)
        {
            case CpuWeightKind.Int4 when w.GroupSize < Int4Layout.TileColumns:
                Int4Lanes.Unpack<HalfTileNibbles>(w, tile, from, to, weights, numbers);
                break;
            case CpuWeightKind.Int4:
                Int4Lanes.Unpack<WholeTileNibbles>(w, tile, from, to, weights, numbers);
                break;
            case CpuWeightKind.Fp4:
                Int4Lanes.Unpack<Fp4Nibbles>(w, tile, from, to, weights, numbers);
                break;
            case CpuWeightKind.Int8:
                ByteLanes.Unpack<Int8Codes>(w, tile, from, to, weights, numbers);
                break;
            case CpuWeightKind.Fp8:
                ByteLanes.Unpack<Fp8Codes>(w, tile, from, to, weights, numbers);
                break;
            case CpuWeightKind.Bf16:
                DenseLanes.Unpack<Bf16Lanes>(w, tile, rows, from, to, weights, numbers);
                break;
            case CpuWeightKind.F16:
                DenseLanes.Unpack<F16DenseLanes>(w, tile, rows, from, to, weights, numbers);
                break;
            default:
                DenseLanes.Unpack<F32Lanes>(w, tile, rows, from, to, weights, numbers);
                break;
        }

        if (!w.HasByteCodes)
            Vector512<float>.One.StoreAligned(numbers);
        int padding = w.Kind is CpuWeightKind.Int4 or CpuWeightKind.Fp4 ? Int4Layout.TileColumns : Int8Layout.TileColumns;
        return (to - from + padding - 1) / padding * padding;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Store(float* totals, float global, Matrix<float> y, int token, int tile, int rows) => CpuVectors.StoreFirst(
        LaneSums.OfRows(totals) * Vector512.Create(global), CpuVectors.Row(y, token) + (tile * LaneSums.Rows), rows);
}
