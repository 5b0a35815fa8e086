using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>The pages of one layer. keys, values: [page, kv head, 64 tokens, Hd].</summary>
internal readonly struct KvPages<TStorage>(ArrayView<TStorage> keys, ArrayView<TStorage> values, int pages, int kvHeads, int headDim)
    where TStorage : unmanaged
{
    public readonly ArrayView<TStorage> Keys = keys;
    public readonly ArrayView<TStorage> Values = values;
    public readonly int Pages = pages;
    public readonly int KvHeads = kvHeads;
    public readonly int HeadDim = headDim;

    /// <summary>The keys of one head in one page: [64, Hd].</summary>
    public ArrayView<TStorage> KeyBlock(int page, int kvHead) => Keys.SubView(BlockStart(page, kvHead), KvCache.PageTokens * HeadDim);

    /// <summary>The values of one head in one page: [64, Hd].</summary>
    public ArrayView<TStorage> ValueBlock(int page, int kvHead) => Values.SubView(BlockStart(page, kvHead), KvCache.PageTokens * HeadDim);

    /// <summary>The same memory as sixteen-byte words, Hd counted in words.</summary>
    public KvPages<TWord> Words<TWord>(string op)
        where TWord : unmanaged
    {
        int perWord = Unsafe.SizeOf<TWord>() / Unsafe.SizeOf<TStorage>();
        long keyOffset = ((IContiguousArrayView)Keys).IndexInBytes;
        long valueOffset = ((IContiguousArrayView)Values).IndexInBytes;
        Require.That(
            op,
            HeadDim % perWord == 0 && keyOffset % Unsafe.SizeOf<TWord>() == 0 && valueOffset % Unsafe.SizeOf<TWord>() == 0,
            $"pages with heads of {HeadDim} at bytes {keyOffset} and {valueOffset} do not consist of words of {perWord} elements");
        return new KvPages<TWord>(Keys.Cast<TWord>(), Values.Cast<TWord>(), Pages, KvHeads, HeadDim / perWord);
    }

    /// <summary>Throws unless both views have the length that the extents ask for.</summary>
    public void Check(string op)
    {
        Require.That(
            op,
            Pages > 0 && KvHeads > 0 && HeadDim > 0,
            $"{Pages} pages of {KvHeads} kv heads of {HeadDim}: all must be positive");
        long elements = (long)Pages * KvHeads * KvCache.PageTokens * HeadDim;
        Require.Equal(op, "length of the key pages", Keys.Length, $"of {Pages} pages of {KvHeads} heads of {HeadDim}", elements);
        Require.Equal(op, "length of the value pages", Values.Length, $"of {Pages} pages of {KvHeads} heads of {HeadDim}", elements);
    }

    // 64 bits: the pages of one layer may hold more than 2^31 elements.
    private long BlockStart(int page, int kvHead) => (((long)page * KvHeads) + kvHead) * KvCache.PageTokens * HeadDim;
}

/// <summary>Keys and values of past tokens lie in pages of this many tokens of one sequence; a page table names a sequence's pages.</summary>
internal static class KvCache
{
    public const int PageTokens = 64;
}
