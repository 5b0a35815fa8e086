using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Tiles of one run in flight. Each of four is loaded again into the registers it had as soon as it is used: a <c>mov</c> of a loaded
/// register stalls until the load lands.
/// Where a tile has the products of several tiles of tokens, registers for that would leave room for half as many warps: one is loaded
/// ahead, and others brought into L2 before.
/// </summary>
internal readonly struct WeightStream<TTiles>
    where TTiles : struct, IWeightTiles
{
    private const int InFlight = 4;
    private const int Prefetched = 8;

    private readonly WeightTile tile0;
    private readonly WeightTile tile1;
    private readonly WeightTile tile2;

    private WeightStream(WeightTile tile0, WeightTile tile1, WeightTile tile2) =>
        (this.tile0, this.tile1, this.tile2) = (tile0, tile1, tile2);

    private static int TilesPerBlock => WeightColumns.BlockColumns / TTiles.Columns;

    /// <summary>Begins a run: its first loads are on their way.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WeightStream<TTiles> Begin<TTokenTiles>(WeightRows rows, int run)
        where TTokenTiles : struct, IConstant
    {
        int first = run * Tiles(rows);
        int end = End(rows, run);
        WeightTile tile0 = TTiles.Load(rows, first, first < end);
        if (TTokenTiles.Value > 1)
            return new WeightStream<TTiles>(tile0, default, default);
        return new WeightStream<TTiles>(
            tile0,
            TTiles.Load(rows, first + 1, first + 1 < end),
            TTiles.Load(rows, first + 2, first + 2 < end));
    }

    /// <summary>The run's sums. All warps of a group take the same number of steps, in which missing tiles count as zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TokenSums Sum<TX, TTokenTiles>(WeightRows rows, TX x, int run, int xRun)
        where TX : struct, IDecodeX
        where TTokenTiles : struct, IConstant
    {
        TokenSums sums = TokenSums.Zero;
        int tiles = Tiles(rows);
        int first = run * tiles;
        int end = End(rows, run);
        int tile = 0;
        WeightTile loaded0 = tile0;
        WeightTile loaded1 = tile1;
        WeightTile loaded2 = tile2;
        WeightTile loaded3 = TTokenTiles.Value == 1 ? TTiles.Load(rows, first + 3, first + 3 < end) : tile0;
        do
        {
            if (TTokenTiles.Value == 1)
            {
                int next = first + tile + InFlight;
                sums = Step<TX, TTokenTiles>(sums, rows, loaded0, first, end, x, xRun, tile);
                loaded0 = TTiles.Load(rows, next, next < end);
                sums = Step<TX, TTokenTiles>(sums, rows, loaded1, first, end, x, xRun, tile + 1);
                loaded1 = TTiles.Load(rows, next + 1, next + 1 < end);
                sums = Step<TX, TTokenTiles>(sums, rows, loaded2, first, end, x, xRun, tile + 2);
                loaded2 = TTiles.Load(rows, next + 2, next + 2 < end);
                sums = Step<TX, TTokenTiles>(sums, rows, loaded3, first, end, x, xRun, tile + 3);
                loaded3 = TTiles.Load(rows, next + 3, next + 3 < end);
                tile += InFlight;
            }
            else
            {
                WeightTile loaded = loaded0;
                int next = first + tile + 1;
                loaded0 = TTiles.Load(rows, next, next < end);
                TTiles.Prefetch(rows, next + Prefetched, next + Prefetched < end);
                sums = Step<TX, TTokenTiles>(sums, rows, loaded, first, end, x, xRun, tile);
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
        int all = (int)((uint)(rows.Columns.Columns + TTiles.Columns - 1) / (uint)TTiles.Columns);
        end = end < all ? end : all;
        return rows.Rows > 0 ? end : 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TokenSums Step<TX, TTokenTiles>(
        TokenSums sums, WeightRows rows, WeightTile loaded, int first, int end, TX x, int xRun, int tile)
        where TX : struct, IDecodeX
        where TTokenTiles : struct, IConstant
    {
        OperandTile operand = TTiles.Convert(rows, loaded, first + tile, first + tile < end);
        Float4 n0 = Multiply(sums.N0, operand, x, xRun, tile, 0);
        if (TTokenTiles.Value == 1)
            return new TokenSums(n0, default, default, default, default, default, default, default);
        Float4 n1 = Multiply(sums.N1, operand, x, xRun, tile, 1);
        if (TTokenTiles.Value == 2)
            return new TokenSums(n0, n1, default, default, default, default, default, default);
        return new TokenSums(
            n0,
            n1,
            Multiply(sums.N2, operand, x, xRun, tile, 2),
            Multiply(sums.N3, operand, x, xRun, tile, 3),
            Multiply(sums.N4, operand, x, xRun, tile, 4),
            Multiply(sums.N5, operand, x, xRun, tile, 5),
            Multiply(sums.N6, operand, x, xRun, tile, 6),
            Multiply(sums.N7, operand, x, xRun, tile, 7));
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
