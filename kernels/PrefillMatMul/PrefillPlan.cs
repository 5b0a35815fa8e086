namespace QwenIlgpu.Kernels;

/// <summary>
/// How a prefill matmul is cut. What decides about bits, the splits of K, follows from (N, K) alone; the tile also from M and the device.
/// </summary>
internal sealed record PrefillPlan
{
    private const int MaxSplits = 4;
    private const int MinSplitBlocks = 8;
    private const int FewRowTiles = 128;

    private PrefillPlan()
    {
    }

    /// <summary>Tiles of tokens.</summary>
    public required int TokenTiles { get; init; }

    public required WorkCut Cut { get; init; }

    /// <summary>Groups of a split: a unit of rows by a tile of tokens each.</summary>
    public int Groups => Cut.Units * TokenTiles;

    /// <summary>Floats of <see cref="DecodeScratch"/>.</summary>
    public long ScratchFloats => Cut.SplitFloats;

    /// <summary>Tickets of <see cref="DecodeScratch"/>.</summary>
    public int Tickets => Cut.Splits > 1 ? Groups : 0;

    /// <summary>The most tickets of any launch of m tokens.</summary>
    public static int MaxTickets(int m)
    {
        const int Projections = 4;
        int tokens = 8 * FewTokensPrefillTile.TokenTiles;
        return ((FewRowTiles / (2 * FewTokensPrefillTile.Warps)) + Projections) * ((m + tokens - 1) / tokens);
    }

    /// <summary>Of m tokens.</summary>
    public static PrefillPlan Of(PrefillTile tile, int m, PrefillShape shape) => tile switch
    {
        PrefillTile.Wide => Of<WidePrefillTile>(m, shape.K, shape.Rows, shape.SwiGlu),
        PrefillTile.Small => Of<SmallPrefillTile>(m, shape.K, shape.Rows, shape.SwiGlu),
        _ => Of<FewTokensPrefillTile>(m, shape.K, shape.Rows, shape.SwiGlu),
    };

    /// <summary>Of m tokens, k columns and the rows of each projection; of SwiGLU's pair both.</summary>
    public static PrefillPlan Of<TTile>(int m, int k, ReadOnlySpan<int> rows, bool swiGlu)
        where TTile : struct, IPrefillTile
    {
        int splits = SplitsOf(k, rows);
        int unitTiles = 2 * TTile.Warps;
        int[] firstUnits = DecodePlan.UnitsOf(rows, swiGlu, unitTiles);
        int tokenTiles = (m + (8 * TTile.TokenTiles) - 1) / (8 * TTile.TokenTiles);
        int blocks = (k + DecodeColumns.BlockColumns - 1) / DecodeColumns.BlockColumns;
        long groupFloats = (long)TTile.TokenTiles * unitTiles * 32 * 4;
        long splitFloats = splits > 1 ? splits * firstUnits[^1] * tokenTiles * groupFloats : 0;
        return new PrefillPlan
        {
            TokenTiles = tokenTiles,
            Cut = new WorkCut(firstUnits, unitTiles, splits, (blocks + splits - 1) / splits, 0, splitFloats, 0),
        };
    }

    // Few rows leave multiprocessors idle; a split keeps at least eight blocks of 64 k.
    private static int SplitsOf(int k, ReadOnlySpan<int> rows)
    {
        int tiles = 0;
        foreach (int n in rows)
            tiles += Int4Layout.RowTiles(n);
        int splits = tiles <= FewRowTiles ? MaxSplits : 1;
        while (splits > 1 && k < splits * MinSplitBlocks * DecodeColumns.BlockColumns)
            splits /= 2;
        return splits;
    }
}
