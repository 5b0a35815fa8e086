using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Tiles of one run in flight. Each of four is loaded again in its place as soon as it is used: to move a register is to wait for its load.
/// Where a tile has dozens of products, four copies of those are too much: one is loaded ahead, and others brought into L2 before.
/// </summary>
internal struct WeightStream<TTiles>
    where TTiles : struct, IWeightTiles
{
    private const int InFlight = 4;
    private const int Prefetched = 8;

    private WeightTile tile0;
    private WeightTile tile1;
    private WeightTile tile2;
    private WeightTile tile3;

    private static int TilesPerBlock => DecodeColumns.BlockColumns / TTiles.Columns;

    /// <summary>Begins a run: its first loads are on their way.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WeightStream<TTiles> Begin<TTokens>(WeightRows rows, int run)
        where TTokens : struct, ITokenTiles
    {
        int first = run * Tiles(rows);
        int end = End(rows, run);
        WeightStream<TTiles> stream = default;
        stream.tile0 = TTiles.Load(rows, first, first < end);
        if (TTokens.Count <= 2)
        {
            stream.tile1 = TTiles.Load(rows, first + 1, first + 1 < end);
            stream.tile2 = TTiles.Load(rows, first + 2, first + 2 < end);
            stream.tile3 = TTiles.Load(rows, first + 3, first + 3 < end);
        }

        return stream;
    }

    /// <summary>The run's sums. All warps of a group take the same number of steps, in which missing tiles count as zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TokenSums Sum<TX, TTokens>(WeightRows rows, TX x, int run, int xRun)
        where TX : struct, IDecodeX
        where TTokens : struct, ITokenTiles
    {
        TokenSums sums = default;
        int tiles = Tiles(rows);
        int first = run * tiles;
        int end = End(rows, run);
        int tile = 0;
        do
        {
            if (TTokens.Count <= 2)
            {
                int next = first + tile + InFlight;
                sums = Step<TX, TTokens>(sums, rows, tile0, first + tile < end, x, xRun, tile);
                tile0 = TTiles.Load(rows, next, next < end);
                sums = Step<TX, TTokens>(sums, rows, tile1, first + tile + 1 < end, x, xRun, tile + 1);
                tile1 = TTiles.Load(rows, next + 1, next + 1 < end);
                sums = Step<TX, TTokens>(sums, rows, tile2, first + tile + 2 < end, x, xRun, tile + 2);
                tile2 = TTiles.Load(rows, next + 2, next + 2 < end);
                sums = Step<TX, TTokens>(sums, rows, tile3, first + tile + 3 < end, x, xRun, tile + 3);
                tile3 = TTiles.Load(rows, next + 3, next + 3 < end);
                tile += InFlight;
            }
            else
            {
                WeightTile loaded = tile0;
                int next = first + tile + 1;
                tile0 = TTiles.Load(rows, next, next < end);
                TTiles.Prefetch(rows, next + Prefetched, next + Prefetched < end);
                sums = Step<TX, TTokens>(sums, rows, loaded, next - 1 < end, x, xRun, tile);
                tile++;
            }
        }
        while (tile < tiles);

        return sums;
    }

    private static int Tiles(WeightRows rows) => rows.Columns.RunBlocks * TilesPerBlock;

    // Of the matrix, its first tile that is not the run's; none where the row tile is not there.
    private static int End(WeightRows rows, int run)
    {
        int end = (run + 1) * Tiles(rows);
        int all = (rows.Columns.Columns + TTiles.Columns - 1) / TTiles.Columns;
        end = end < all ? end : all;
        return rows.Rows > 0 ? end : 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TokenSums Step<TX, TTokens>(TokenSums sums, WeightRows rows, WeightTile loaded, bool present, TX x, int xRun, int tile)
        where TX : struct, IDecodeX
        where TTokens : struct, ITokenTiles
    {
        OperandTile operand = TTiles.Convert(rows, loaded, present);
        sums.N0 = Multiply(sums.N0, operand, x, xRun, tile, 0);
        if (TTokens.Count > 1)
            sums.N1 = Multiply(sums.N1, operand, x, xRun, tile, 1);
        if (TTokens.Count > 2)
        {
            sums.N2 = Multiply(sums.N2, operand, x, xRun, tile, 2);
            sums.N3 = Multiply(sums.N3, operand, x, xRun, tile, 3);
            sums.N4 = Multiply(sums.N4, operand, x, xRun, tile, 4);
            sums.N5 = Multiply(sums.N5, operand, x, xRun, tile, 5);
            sums.N6 = Multiply(sums.N6, operand, x, xRun, tile, 6);
            sums.N7 = Multiply(sums.N7, operand, x, xRun, tile, 7);
        }

        return sums;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 Multiply<TX>(Float4 sum, OperandTile operand, TX x, int xRun, int tile, int tokenTile)
        where TX : struct, IDecodeX
    {
        int block = TilesPerBlock == 1 ? tile : tile >> 1;
        int half = TilesPerBlock == 1 ? 0 : tile & 1;
        if (TTiles.TakesOctets)
        {
            UInt4 octet = x.Octet(xRun, block, half, tokenTile);
            return TTiles.Add(sum, operand, octet, octet);
        }

        UInt4 left = x.Words(xRun, block, half, tokenTile);
        UInt4 right = TilesPerBlock == 1 ? x.Words(xRun, block, 1, tokenTile) : left;
        return TTiles.Add(sum, operand, left, right);
    }
}
