using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The pages of one layer, in words of sixteen bytes. keys: [page, kv head, block of <typeparamref name="TKeys"/>]; values: the same of
/// <typeparamref name="TValues"/>.
/// </summary>
internal readonly struct KvPages<TKeys, TValues>(ArrayView<UInt4> keys, ArrayView<UInt4> values, int pages, int kvHeads, int headDim)
    where TKeys : struct, IPageFormat
    where TValues : struct, IPageFormat
{
    public readonly ArrayView<UInt4> Keys = keys;
    public readonly ArrayView<UInt4> Values = values;
    public readonly int Pages = pages;
    public readonly int KvHeads = kvHeads;
    public readonly int HeadDim = headDim;

    /// <summary>Whether either side's rows are turned before they are stored.</summary>
    public static bool AreQuantized => TKeys.IsQuantized || TValues.IsQuantized;

    /// <summary>The keys of one head in one page.</summary>
    public ArrayView<UInt4> KeyBlock(int page, int kvHead)
    {
        int words = PageBlock.Words<TKeys>(HeadDim);
        return Keys.SubView(Index(page, kvHead) * words, words);
    }

    /// <summary>The values of one head in one page.</summary>
    public ArrayView<UInt4> ValueBlock(int page, int kvHead)
    {
        int words = PageBlock.Words<TValues>(HeadDim);
        return Values.SubView(Index(page, kvHead) * words, words);
    }

    /// <summary>Throws unless both views have the length that the extents ask for, and heads a size that the formats take.</summary>
    public void Check(string op)
    {
        Require.That(
            op,
            Pages > 0 && KvHeads > 0 && HeadDim > 0,
            $"{Pages} pages of {KvHeads} kv heads of {HeadDim}: all must be positive");
        int step = Math.Max(TKeys.DimStep, TValues.DimStep);
        Require.That(op, HeadDim % step == 0, $"head size is {HeadDim}, it must be a multiple of {step}");
        long blocks = (long)Pages * KvHeads;
        string extents = $"of {Pages} pages of {KvHeads} heads of {HeadDim}";
        Require.Equal(op, "words of the key pages", Keys.Length, extents, blocks * PageBlock.Words<TKeys>(HeadDim));
        Require.Equal(op, "words of the value pages", Values.Length, extents, blocks * PageBlock.Words<TValues>(HeadDim));
    }

    // 64 bits: the pages of one layer may hold more than 2^31 elements.
    private long Index(int page, int kvHead) => ((long)page * KvHeads) + kvHead;
}

/// <summary>The block of one kv head in one page: rows of 64 tokens, then their scales.</summary>
internal static class PageBlock
{
    /// <summary>Words of a row.</summary>
    public static int RowWords<TFormat>(int headDim)
        where TFormat : struct, IPageFormat => TFormat.RowBytes(headDim) >> 4;

    /// <summary>Words of the whole block.</summary>
    public static int Words<TFormat>(int headDim)
        where TFormat : struct, IPageFormat => KvCache.PageTokens / 16 * (TFormat.RowBytes(headDim) + TFormat.ScaleBytes);

    /// <summary>A token's row.</summary>
    public static ArrayView<UInt4> Row<TFormat>(ArrayView<UInt4> block, int headDim, int token)
        where TFormat : struct, IPageFormat
    {
        int words = RowWords<TFormat>(headDim);
        return block.SubView(token * words, words);
    }

    /// <summary>The scales of the tokens, which only a quantised format has; else the block.</summary>
    public static ArrayView<UInt4> Scales<TFormat>(ArrayView<UInt4> block, int headDim)
        where TFormat : struct, IPageFormat => TFormat.IsQuantized
            ? block.SubView(KvCache.PageTokens * RowWords<TFormat>(headDim), KvCache.PageTokens / 16 * TFormat.ScaleBytes)
            : block;
}

/// <summary>Keys and values of past tokens lie in pages of this many tokens of one sequence; a page table names a sequence's pages.</summary>
internal static class KvCache
{
    public const int PageTokens = 64;
}
