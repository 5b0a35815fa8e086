using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>A block of a page on its way to a tile of 64 bf16 rows in shared memory.</summary>
/// <remarks>
/// Rows of bf16 are copied to their place. Codes and scales are copied beside the tile, and each thread expands the codes, each warp the
/// scales that it copied itself to places that are its own: that wants no barrier of the group, nor does copying the next. Of a word of
/// codes become N words of a tile. Eight neighbouring threads copy 8 / N words of N rows: together they read whole sectors, and the words
/// that they store at once lie in eight different sets of banks.
/// </remarks>
internal static class PageTile<TFormat, TOutputs, THeads>
    where TFormat : struct, ITensorCoreFormat
    where TOutputs : struct, IOutputTile<TOutputs>
    where THeads : struct, IConstant
{
    private const int Keys = KvCache.PageTokens;

    // Of two warps, each 32 scales of four bytes or fewer.
    private const int WarpScaleWords = 8;
    private const int StagedScaleWords = 2 * WarpScaleWords;

    /// <summary>Words of the codes and scales of a block, which wait there until they are expanded.</summary>
    public static int StagingWords => TFormat.IsQuantized ? StagedScaleWords + (Keys * CodeWords) : 0;

    private static int GroupSize => PrefillGroup<TOutputs, THeads>.Size;

    private static int RowWords => PrefillGroup<TOutputs, THeads>.RowWords;

    // Of a row, that a group copies at once of eight rows or a multiple: the smaller of two powers of two, in operations that fold.
    private static int WordsAtOnce => ((RowWords - 1) & ((GroupSize / 8) - 1)) + 1;

    // N above.
    private static int Expansion => 16 / TFormat.RowBytes(8);

    // Of a row in the page.
    private static int CodeWords => RowWords / Expansion;

    // Rows of codes that a group copies at once, a multiple of 8.
    private static int RowsAtOnce => GroupSize / CodeWords;

    // The thread's first row, and the first tile word of its word there.
    private static int Row => ((int)((uint)Group.IdxX / (uint)RowWords) * Expansion) + (int)((uint)(Group.IdxX & 7) / (8u / (uint)Expansion));

    private static int Word =>
        (((int)((uint)Group.IdxX / 8u) & ((RowWords / 8) - 1)) * 8) + ((Group.IdxX & ((8 / Expansion) - 1)) * Expansion);

    /// <summary>Starts the copies of a block as one group; zeros stand in for rows behind the last key, where pages hold anything.</summary>
    public static void Copy(ArrayView<UInt4> tile, ArrayView<UInt4> staging, ArrayView<UInt4> block, int keys)
    {
        if (TFormat.IsQuantized)
            CopyCodes(staging, block, keys);
        else
            CopyRows(tile, block, keys);
        AsyncCopy.Commit();
    }

    /// <summary>
    /// Expands what this warp copied, behind a wait and a barrier of the warp. scales: 64 scales, then 64 zeros, both 0 behind the last key; codes are finite
    /// there whatever the page holds.
    /// </summary>
    public static void Expand(ArrayView<UInt4> tile, ArrayView<UInt4> staging, ArrayView<float> scales, int keys)
    {
        int row = Row;
        int word = Word ^ (row & 7);
        ArrayView<UInt4> source = staging.SubView(StagedScaleWords + Group.IdxX);
        ArrayView<UInt4> target = tile.SubView(row * RowWords);
        for (int down = 0; down < Keys; down += RowsAtOnce)
        {
            UInt4 codes = source[down * CodeWords];
            for (int eight = 0; eight < Expansion; eight++)
                target.SubView(word ^ eight)[down * RowWords] = TFormat.ToBf16(codes, eight);
        }

        if (Group.IdxX < Keys)
            ExpandScales(staging, scales, keys);
    }

    // One a lane.
    private static void ExpandScales(ArrayView<UInt4> staging, ArrayView<float> scales, int keys)
    {
        int key = Group.IdxX;
        Float2 scale = TFormat.LoadScale(staging.SubView((key >> 5) * WarpScaleWords, WarpScaleWords), key & 31);
        scales[key] = key < keys ? scale.X : 0;
        if (TFormat.HasZeros)
            scales[Keys + key] = key < keys ? scale.Y : 0;
        Warp.Barrier();                                                 // the next may be copied
    }

    private static void CopyCodes(ArrayView<UInt4> staging, ArrayView<UInt4> block, int keys)
    {
        int row = Row;
        ArrayView<UInt4> target = staging.SubView(StagedScaleWords + Group.IdxX);
        ArrayView<UInt4> source = block.SubView((row * CodeWords) + (int)((uint)Word / (uint)Expansion));
        for (int down = 0; down < Keys; down += RowsAtOnce)
            AsyncCopy.Copy16OrZero(ref target[down * CodeWords], ref source[down * CodeWords], row + down < keys);

        int warp = Group.IdxX >> 5;
        int lane = Group.IdxX & 31;
        int word = (warp * 2 * TFormat.ScaleBytes) + lane;
        bool isPresent = (int)((uint)word * 16u / (uint)TFormat.ScaleBytes) < keys;
        if (Group.IdxX < Keys && lane < 2 * TFormat.ScaleBytes)
            AsyncCopy.Copy16OrZero(ref staging[(warp * WarpScaleWords) + lane], ref block[(Keys * CodeWords) + word], isPresent);
    }

    private static void CopyRows(ArrayView<UInt4> tile, ArrayView<UInt4> block, int keys)
    {
        int row = (int)((uint)Group.IdxX / (uint)WordsAtOnce);
        int word = Group.IdxX & (WordsAtOnce - 1);
        ArrayView<UInt4> target = tile.SubView(PrefillGroup<TOutputs, THeads>.Place(row, word));
        ArrayView<UInt4> source = block.SubView((row * RowWords) + word);
        for (int down = 0; down < Keys; down += GroupSize / WordsAtOnce)
        {
            for (int right = 0; right < RowWords; right += WordsAtOnce)
            {
                int place = (down * RowWords) + right;
                AsyncCopy.Copy16OrZero(ref target[place], ref source[place], row + down < keys);
            }
        }
    }
}

/// <summary>The threads of a group of prefill attention, and how its tiles lie in shared memory.</summary>
internal static class PrefillGroup<TOutputs, THeads>
    where TOutputs : struct, IOutputTile<TOutputs>
    where THeads : struct, IConstant
{
    public static int Size => THeads.Value * PrefillGroup.HeadThreads;

    /// <summary>Words of sixteen bytes of a tile's row.</summary>
    public static int RowWords => TOutputs.Dim / 8;

    /// <summary>Of a tile of 64 rows.</summary>
    public static int TileWords => KvCache.PageTokens * RowWords;

    /// <summary>
    /// Where in its tile a word lies: at word ^ (row % 8) of its row, so that the eight rows of an ldmatrix phase lie in eight different sets
    /// of banks.
    /// </summary>
    public static int Place(int row, int word) => (row * RowWords) + (word ^ (row & 7));
}

internal static class PrefillGroup
{
    /// <summary>Four warps have the 64 rows of a head.</summary>
    public const int HeadThreads = 128;
}
