using System.Collections.Immutable;
using System.Globalization;

namespace QwenIlgpu.Kernels;

/// <summary>The tiles that there are to choose from. All yield the same bits.</summary>
internal enum PrefillTile
{
    Wide,
    Small,
    FewTokens,
}

/// <summary>Extents and names of the tiles.</summary>
internal static class PrefillTiles
{
    public static ImmutableArray<PrefillTile> All { get; } = [PrefillTile.Wide, PrefillTile.Small, PrefillTile.FewTokens];

    /// <summary>Those that a format has: INT8 with few tokens does not fit in the registers that the assembler gives it on sm_90.</summary>
    public static ImmutableArray<PrefillTile> Of(PrefillFormat format) =>
        format == PrefillFormat.Int8 ? [PrefillTile.Wide, PrefillTile.Small] : All;

    /// <summary>Tokens of a group.</summary>
    public static int TokensOf(PrefillTile tile) => 8 * (tile switch
    {
        PrefillTile.Wide => WidePrefillTile.TokenTiles,
        PrefillTile.Small => SmallPrefillTile.TokenTiles,
        _ => FewTokensPrefillTile.TokenTiles,
    });

    /// <summary>Warps of a group, 32 rows each.</summary>
    public static int WarpsOf(PrefillTile tile) => tile switch
    {
        PrefillTile.Wide => WidePrefillTile.Warps,
        PrefillTile.Small => SmallPrefillTile.Warps,
        _ => FewTokensPrefillTile.Warps,
    };

    /// <summary>As tables write it, tokens by rows: <c>64x256</c>.</summary>
    public static string NameOf(PrefillTile tile) =>
        string.Create(CultureInfo.InvariantCulture, $"{TokensOf(tile)}x{32 * WarpsOf(tile)}");

    /// <summary>Null where no tile is called so.</summary>
    public static PrefillTile? Named(string? name)
    {
        foreach (PrefillTile tile in All)
        {
            if (NameOf(tile) == name)
                return tile;
        }

        return null;
    }
}

/// <summary>What a group computes: a warp 32 rows, a group all of its warps' rows, for all of its tokens. No choice changes a bit.</summary>
internal interface IPrefillTile
{
    static abstract int Warps { get; }

    /// <summary>Tiles of eight tokens: 4 or 8, at least half as many as warps.</summary>
    static abstract int TokenTiles { get; }
}

/// <summary>
/// 64 tokens × 256 rows, one group a multiprocessor: 32 KiB of shared memory. A lane has 64 sums, 32 registers of operands and as many of
/// what is on its way; with 96 sums the assembler spills.
/// </summary>
internal readonly struct WidePrefillTile : IPrefillTile
{
    public static int Warps => 8;

    public static int TokenTiles => 8;
}

/// <summary>64 tokens × 128 rows, for matrices that have too few wide tiles to go round: 24 KiB.</summary>
internal readonly struct SmallPrefillTile : IPrefillTile
{
    public static int Warps => 4;

    public static int TokenTiles => 8;
}

/// <summary>32 tokens × 128 rows, for prompts too short for more: 16 KiB.</summary>
internal readonly struct FewTokensPrefillTile : IPrefillTile
{
    public static int Warps => 4;

    public static int TokenTiles => 4;
}
