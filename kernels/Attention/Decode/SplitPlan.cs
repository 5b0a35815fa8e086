using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// How the keys of one row are split over groups: by its own length alone, so that a row's bits do not depend on who shares the
/// launch. A split is 128 tokens, or a 64th of the length rounded up to a page; eight splits in a row are merged before all are.
/// </summary>
internal readonly struct SplitPlan(int length)
{
    /// <summary>Splits of the longest row.</summary>
    public const int MostSplits = 64;

    /// <summary>Splits that are merged at a time.</summary>
    public const int Eight = 8;

    private const int LeastBlocks = 2;

    /// <summary>Blocks of 64 tokens.</summary>
    public int Blocks => (int)((uint)(length + KvCache.PageTokens - 1) / KvCache.PageTokens);

    /// <summary>Blocks of every split but the last, which may have fewer.</summary>
    public int SplitBlocks
    {
        get
        {
            int blocks = (int)((uint)(Blocks + MostSplits - 1) / MostSplits);
            return blocks < LeastBlocks ? LeastBlocks : blocks;
        }
    }

    public int Splits => (Blocks + SplitBlocks - 1) / SplitBlocks;

    /// <summary>The most splits of any row of up to this many blocks.</summary>
    public static int MostOf(int blocks)
    {
        int splits = (int)((uint)(blocks + LeastBlocks - 1) / LeastBlocks);
        return splits < MostSplits ? splits : MostSplits;
    }

    /// <summary>Eights of this many splits.</summary>
    public static int Eights(int splits) => (int)((uint)(splits + Eight - 1) / Eight);

    /// <summary>Splits of one eight.</summary>
    public static int SplitsOf(int eight, int splits)
    {
        int rest = splits - (eight * Eight);
        return rest < Eight ? rest : Eight;
    }
}

/// <summary>
/// Where the splits of a row meet. most: of the longest row; partials: what a split or an eight of them gives, per row and kv head
/// [most + eights, group's heads, Hd + 4] float in words of four; tickets: zeros, and zeros again afterwards.
/// </summary>
internal readonly struct SplitScratch(int most, ArrayView<Float4> partials, ArrayView<int> tickets)
{
    public readonly int Most = most;
    public readonly ArrayView<Float4> Partials = partials;
    public readonly ArrayView<int> Tickets = tickets;
}
