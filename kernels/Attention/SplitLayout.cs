namespace QwenIlgpu.Kernels;

/// <summary>
/// How a row's keys are cut into splits, by its length alone, and where a split leaves its share of the softmax: a row, head and split
/// has Hd sums of weighted values, their maximal score and the sum of their weights.
/// </summary>
internal static class SplitLayout
{
    public const int MaxSplits = 64;

    private const int LeastTokens = 128;

    /// <summary>Tokens of a split of a sequence: the larger of 128 and length / 64 rounded up to whole pages.</summary>
    public static int Tokens(int length)
    {
        int share = (length + MaxSplits - 1) / MaxSplits;
        int pages = (share + KvCache.PageTokens - 1) / KvCache.PageTokens;
        return pages * KvCache.PageTokens > LeastTokens ? pages * KvCache.PageTokens : LeastTokens;
    }

    /// <summary>Splits of a sequence, at most 64.</summary>
    public static int Count(int length) => (length + Tokens(length) - 1) / Tokens(length);

    /// <summary>Floats of one split.</summary>
    public static int Columns(int headDim) => headDim + 2;

    /// <summary>First float of a split's share.</summary>
    public static long Start(int row, int head, int heads, int split, int headDim) =>
        ((((long)row * heads) + head) * MaxSplits + split) * Columns(headDim);
}
