namespace QwenIlgpu.Kernels;

/// <summary>
/// How a decode matmul is cut. What decides about bits, runs and splits of K, follows from (N, K) alone; the rest from M too.
/// </summary>
internal sealed record DecodePlan
{
    /// <summary>Up to so many tokens a launch.</summary>
    public const int MaxTokens = 64;

    /// <summary>Tickets of any launch: more units than these are not split.</summary>
    public const int MaxTickets = 32;

    private const int FusedTokens = 8;
    private const int SmallUnit = 2;
    private const int LargeUnit = 8;

    private DecodePlan()
    {
    }

    /// <summary>x is normalised and rounded by the matmul itself, not by a launch before it.</summary>
    public required bool IsFused { get; init; }

    /// <summary>Groups among which K is split.</summary>
    public required int Splits { get; init; }

    /// <summary>Row tiles of a unit of work.</summary>
    public required int UnitTiles { get; init; }

    /// <summary>First unit of each projection, and behind them how many there are.</summary>
    public required int[] FirstUnits { get; init; }

    /// <summary>Scratch for the packed rows.</summary>
    public required long PackedFloats { get; init; }

    /// <summary>Scratch for the sums of splits.</summary>
    public required long SplitFloats { get; init; }

    /// <summary>Scratch for the largest logit of each unit.</summary>
    public required long BestFloats { get; init; }

    /// <summary>Blocks of 64 k of a run.</summary>
    public required int RunBlocks { get; init; }

    public int Units => FirstUnits[^1];

    public TileCut Cut => new(FirstUnits, UnitTiles, Splits, RunBlocks, PackedFloats, SplitFloats, BestFloats);

    /// <summary>Floats of <see cref="MatMulScratch"/>.</summary>
    public long ScratchFloats => PackedFloats + SplitFloats + BestFloats;

    /// <summary>Tickets of <see cref="MatMulScratch"/>.</summary>
    public int Tickets => Splits > 1 ? Units : 0;

    /// <summary>Of m tokens, k columns and the rows of each projection; of SwiGLU's pair both.</summary>
    public static DecodePlan Of(int m, int k, ReadOnlySpan<int> rows, bool swiGlu = false, bool argMax = false)
    {
        int splits = SplitsOf(k, ProjectionSet.UnitsOf(rows, swiGlu, SmallUnit)[^1]);
        int runBlocks = WeightColumns.RunBlocksOf(k, splits);
        int stagedBlocks = DecodeStaging<Bf16Operand>.StagedBlocks(runBlocks);
        bool fused = m <= FusedTokens && m * StagedX.Stride(stagedBlocks) <= DecodeStaging<Bf16Operand>.Words;

        // Eight row tiles read x once; there must be enough of them for every multiprocessor.
        int tiles = 0;
        foreach (int n in rows)
            tiles += Int4Layout.RowTiles(n);
        int unitTiles = !fused && m > FusedTokens && tiles >= 128 * LargeUnit ? LargeUnit : SmallUnit;
        int[] firstUnits = ProjectionSet.UnitsOf(rows, swiGlu, unitTiles);
        long units = firstUnits[^1];
        return new DecodePlan
        {
            IsFused = fused,
            Splits = splits,
            UnitTiles = unitTiles,
            FirstUnits = firstUnits,
            RunBlocks = runBlocks,
            PackedFloats = fused ? 0 : 4 * PackedX.Length(m, k),
            SplitFloats = splits > 1 ? splits * units * unitTiles * Int4Layout.TileRows * m : 0,
            BestFloats = argMax ? (2 * units * m) + 3 & ~3L : 0,
        };
    }

    // Few row tiles leave multiprocessors idle; a run keeps at least four blocks of 64 k.
    private static int SplitsOf(int k, int units)
    {
        int splits = units <= MaxTickets / 2 ? 4 : units <= MaxTickets ? 2 : 1;
        while (splits > 1 && k < splits * WeightColumns.Runs * 4 * WeightColumns.BlockColumns)
            splits /= 2;
        return splits;
    }
}

/// <summary>How many groups share units of work out. It decides which group takes which unit, and no bit of a result.</summary>
internal static class DecodeGrid
{
    private const int GroupsPerMultiprocessor = 2;

    /// <summary>No more than run at once, and each with the same number of units or one less.</summary>
    public static int Groups(int units, int splits, int multiprocessors)
    {
        int atOnce = Math.Max(multiprocessors * GroupsPerMultiprocessor / splits, 1);
        int rounds = (units + atOnce - 1) / atOnce;
        return rounds == 0 ? 0 : (units + rounds - 1) / rounds;
    }
}
