using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>Tiles of one run in flight: each is followed by another before it is used.</summary>
internal struct WeightStream<TTiles>
    where TTiles : struct, IWeightTiles
{
    /// <summary>Tiles, and so the least number of 16-byte loads, that a lane has in flight.</summary>
    public const int InFlight = 4;

    private WeightTile tile0;
    private WeightTile tile1;
    private WeightTile tile2;
    private WeightTile tile3;

    private static int TilesPerBlock => DecodeColumns.BlockColumns / TTiles.Columns;

    /// <summary>Begins a run: its first loads are on their way.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WeightStream<TTiles> Begin(WeightRows rows, int run)
    {
        int first = run * Tiles(rows);
        int end = End(rows, run);
        WeightStream<TTiles> stream = default;
        stream.tile0 = TTiles.Load(rows, first, first < end);
        stream.tile1 = TTiles.Load(rows, first + 1, first + 1 < end);
        stream.tile2 = TTiles.Load(rows, first + 2, first + 2 < end);
        stream.tile3 = TTiles.Load(rows, first + 3, first + 3 < end);
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
            // Two tiles an iteration save half of the moves; where a tile has dozens of products, those do not count.
            int next = first + tile + InFlight;
            WeightTile after = TTiles.Load(rows, next, next < end);
            sums = Step<TX, TTokens>(sums, rows, tile0, x, xRun, tile);
            if (TTokens.Count > 2 || !TTiles.GoInPairs)
            {
                tile0 = tile1;
                tile1 = tile2;
                tile2 = tile3;
                tile3 = after;
                tile++;
            }
            else
            {
                tile0 = tile2;
                tile2 = after;
                after = TTiles.Load(rows, next + 1, next + 1 < end);
                sums = Step<TX, TTokens>(sums, rows, tile1, x, xRun, tile + 1);
                tile1 = tile3;
                tile3 = after;
                tile += 2;
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
    private static TokenSums Step<TX, TTokens>(TokenSums sums, WeightRows rows, WeightTile loaded, TX x, int xRun, int tile)
        where TX : struct, IDecodeX
        where TTokens : struct, ITokenTiles
    {
        OperandTile operand = TTiles.Convert(rows, loaded);
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
        int block = tile / TilesPerBlock;
        int half = tile % TilesPerBlock;
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
