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

    public required TileCut Cut { get; init; }

    /// <summary>Groups of a split: a unit of rows by a tile of tokens each.</summary>
    public int Groups => Cut.Units * TokenTiles;

    /// <summary>Floats of <see cref="MatMulScratch"/>.</summary>
    public long ScratchFloats => Cut.SplitFloats;

    /// <summary>Tickets of <see cref="MatMulScratch"/>.</summary>
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
        int[] firstUnits = ProjectionSet.UnitsOf(rows, swiGlu, unitTiles);
        int tokenTiles = (m + (8 * TTile.TokenTiles) - 1) / (8 * TTile.TokenTiles);
        int blocks = (k + WeightColumns.BlockColumns - 1) / WeightColumns.BlockColumns;
        long groupFloats = (long)TTile.TokenTiles * unitTiles * 32 * 4;
        long splitFloats = splits > 1 ? splits * firstUnits[^1] * tokenTiles * groupFloats : 0;
        return new PrefillPlan
        {
            TokenTiles = tokenTiles,
            Cut = new TileCut(firstUnits, unitTiles, splits, (blocks + splits - 1) / splits, 0, splitFloats, 0),
        };
    }

    // Few rows leave multiprocessors idle; a split keeps at least eight blocks of 64 k.
    private static int SplitsOf(int k, ReadOnlySpan<int> rows)
    {
        int tiles = 0;
        foreach (int n in rows)
            tiles += Int4Layout.RowTiles(n);
        int splits = tiles <= FewRowTiles ? MaxSplits : 1;
        while (splits > 1 && k < splits * MinSplitBlocks * WeightColumns.BlockColumns)
            splits /= 2;
        return splits;
    }
}

/// <summary>
/// Which tile a group of the grid's first dimension computes. Tokens go by bands of sixteen tiles, a band through all units of rows, each
/// unit through the band's tiles: groups at work at once share their weights, and a band of x stays in L2.
/// </summary>
internal readonly struct PrefillOrder(int units, int tokenTiles)
{
    private const int Band = 16;

    private readonly int units = units;
    private readonly int tokenTiles = tokenTiles;

    public int Unit(int group) => (group - BandStart(group)) / Width(group);

    public int TokenTile(int group) => (group / (units * Band) * Band) + ((group - BandStart(group)) % Width(group));

    private int BandStart(int group) => group / (units * Band) * (units * Band);

    private int Width(int group)
    {
        int left = tokenTiles - (group / (units * Band) * Band);
        return left < Band ? left : Band;
    }
}
