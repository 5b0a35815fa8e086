namespace QwenIlgpu.Kernels;

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
