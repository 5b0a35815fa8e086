using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The row tiles of up to four segments, cut into units, and what becomes of their sums. A unit lies in one segment,
/// or has as many row tiles of the gate as of the up projection. SwiGLU, a residual and an arg-max belong to an output that is alone in
/// its launch: a kernel that is made for several passes <c>isAlone: false</c> and has no instructions for them.
/// </summary>
internal readonly struct TileWork(
    ProjectionSegment segment0,
    ProjectionSegment segment1,
    ProjectionSegment segment2,
    ProjectionSegment segment3,
    WeightColumns columns,
    EpilogueOperands epilogue,
    int tokens,
    int unitTiles,
    int units)
{
    public const int GroupSize = RowChunk.GroupSize;
    public const int Warps = GroupSize / 32;

    private readonly ProjectionSegment segment0 = segment0;
    private readonly ProjectionSegment segment1 = segment1;
    private readonly ProjectionSegment segment2 = segment2;
    private readonly ProjectionSegment segment3 = segment3;
    private readonly EpilogueOperands epilogue = epilogue;

    /// <summary>M: rows of x and of y.</summary>
    public readonly int Tokens = tokens;

    public readonly WeightColumns Columns = columns;

    /// <summary>Row tiles of a unit. Of a decode matmul 2, each by four warps, or 8, each by one.</summary>
    public readonly int UnitTiles = unitTiles;
    public readonly int Units = units;

    public bool IsSwiGlu => epilogue.IsSwiGlu != 0;

    /// <summary>Where the sums of splits meet, in an order that is the kernel's own.</summary>
    public ArrayView<float> SplitSums => epilogue.SplitSums;

    /// <summary>One ticket for each unit of which K is split; zeros between launches.</summary>
    public ArrayView<int> Tickets => epilogue.Tickets;

    /// <summary>The weights of one of a unit's row tiles.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public WeightRows Rows(int unit, int tile, bool isAlone = true)
    {
        bool swiGlu = isAlone && IsSwiGlu;
        ProjectionSegment segment = swiGlu ? ((tile & 1) == 0 ? segment0 : segment1) : SegmentOf(unit);
        int rowTile = swiGlu
            ? (unit * (UnitTiles >> 1)) + (tile >> 1)
            : ((unit - segment.FirstUnit) * UnitTiles) + tile;
        return new WeightRows(segment, Columns, rowTile);
    }

    /// <summary>
    /// Sums a unit's warps in the order of their runs of K, then the splits in their order, and finishes the result.
    /// partial: shared, [warp][token] of 16 rows; ranks: shared, one a thread; flag: shared, one.
    /// </summary>
    public void Finish(
        ArrayView<float> partial, ArrayView<ulong> ranks, ArrayView<int> flag, int warpTokens, int unit, int split, bool isAlone = true)
    {
        int tileWarps = Warps / UnitTiles;
        int tileFloats = tileWarps * warpTokens * TokenSums.TokenStride;
        bool isLast = GathersSplits(partial, flag, tileWarps, tileFloats, warpTokens, unit, split);
        if (isAlone)
            Group.Barrier();                            // of the gate a thread has gathered itself what it reads, of up another has
        if (Columns.Splits > 1)
            tileWarps = 1;

        bool swiGlu = isAlone && IsSwiGlu;
        int tiles = swiGlu ? UnitTiles >> 1 : UnitTiles;
        int shift = RowShift(tiles);
        ProjectionSegment segment = SegmentOf(swiGlu ? 0 : unit);
        int firstRow = (unit - segment.FirstUnit) << shift;
        int first = 0;
        do
        {
            int token = (first + Group.IdxX) >> shift;
            int rowOfUnit = (first + Group.IdxX) & ((1 << shift) - 1);
            int row = firstRow + rowOfUnit;
            ulong rank = RankedToken.None;
            if (isLast && token < Tokens && row < segment.Rows)
            {
                int tile = rowOfUnit >> 4;
                int at = ((swiGlu ? 2 * tile : tile) * tileFloats) + (token * TokenSums.TokenStride) + (rowOfUnit & 15);
                float up = 0;
                if (swiGlu)
                    up = SumOfWarps(partial, at + tileFloats, tileWarps, warpTokens);
                float value = Output(segment, SumOfWarps(partial, at, tileWarps, warpTokens), up, token, row, isAlone);
                if (segment.Y.Rows > 0)
                    segment.Y[token, row] = value;
                if (isAlone && row < epilogue.VocabularySize && value > float.NegativeInfinity)
                    rank = RankedToken.Of(value, row);
            }

            if (isAlone)
                StoreBest(ranks, rank, first, shift, isLast && epilogue.Best.Rows > 0, unit);
            first += GroupSize;
        }
        while (first < Tokens << shift);
    }

    /// <summary>The segment of a unit; of SwiGLU's pair the gate.</summary>
    public ProjectionSegment SegmentOf(int unit)
    {
        ProjectionSegment segment = segment0;
        if (unit >= segment1.FirstUnit)
            segment = segment1;
        if (unit >= segment2.FirstUnit)
            segment = segment2;
        if (unit >= segment3.FirstUnit)
            segment = segment3;
        return segment;
    }

    /// <summary>
    /// y of a row of a segment from its whole sum; up: that of SwiGLU's second projection, where a caller has one to give.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Output(ProjectionSegment segment, float sum, float up, int token, int row, bool isAlone = true, bool hasUp = true)
    {
        float value = sum;
        if (isAlone && hasUp && IsSwiGlu)
            value = SwiGlu(sum, up);
        float residual = 0;
        if (isAlone && epilogue.Residual.Rows > 0)
            residual = epilogue.Residual[token, row];
        return Float32.Fma(1, value, residual);         // not value + residual, which a compiler may fuse with SwiGLU's last product
    }

    // Rows of 1, 2, 4 or 8 tiles as a power of two.
    private static int RowShift(int tiles) => 4 + (tiles >> 1) - (tiles >> 3);

    // exp(−g) overflows to infinity below g = −88, where g / (1 + exp(−g)) is −0 as it should be.
    private static float SwiGlu(float gate, float up) => gate / (1 + XMath.Exp(-gate)) * up;

    private static float SumOfWarps(ArrayView<float> partial, int at, int tileWarps, int warpTokens)
    {
        float sum = partial[at];
        for (int warp = 1; warp < tileWarps; warp++)
            sum += partial[at + (warp * warpTokens * TokenSums.TokenStride)];
        return sum;
    }

    // Where K is split, hands this split's sums over; true in the group that comes last, where those of all splits replace its first
    // warps' own. No barrier depends on a condition: on a CPU that would make another copy of all that follows.
    private bool GathersSplits(
        ArrayView<float> partial, ArrayView<int> flag, int tileWarps, int tileFloats, int warpTokens, int unit, int split)
    {
        int shift = RowShift(UnitTiles);
        int sums = Tokens << shift;
        bool isSplit = Columns.Splits > 1;
        for (int i = Group.IdxX; isSplit && i < sums; i += GroupSize)
        {
            int at = (((i >> 4) & (UnitTiles - 1)) * tileFloats) + ((i >> shift) * TokenSums.TokenStride) + (i & 15);
            epilogue.SplitSums[((((long)split * Units) + unit) * sums) + i] = SumOfWarps(partial, at, tileWarps, warpTokens);
        }

        bool isLast = LastGroup.Is(epilogue.Tickets, unit, Columns.Splits, flag);
        for (int i = Group.IdxX; isSplit && isLast && i < sums; i += GroupSize)
        {
            float sum = epilogue.SplitSums[((long)unit * sums) + i];
            for (int other = 1; other < Columns.Splits; other++)
                sum += epilogue.SplitSums[((((long)other * Units) + unit) * sums) + i];
            partial[(((i >> 4) & (UnitTiles - 1)) * tileFloats) + ((i >> shift) * TokenSums.TokenStride) + (i & 15)] = sum;
        }

        return isLast;
    }

    private void StoreBest(ArrayView<ulong> ranks, ulong rank, int first, int shift, bool stores, int unit)
    {
        Group.Barrier();                                // nobody still reads the ranks before, or the sums in their place
        ranks[Group.IdxX] = rank;
        Group.Barrier();
        int token = (first >> shift) + Group.IdxX;
        if (stores && Group.IdxX < GroupSize >> shift && token < Tokens)
        {
            ulong best = RankedToken.None;
            for (int i = 0; i < 1 << shift; i++)
            {
                ulong other = ranks[(Group.IdxX << shift) + i];
                best = other > best ? other : best;
            }

            epilogue.Best[token, unit] = best;
        }
    }
}

/// <summary>What becomes of a launch's sums, on the device; matrices without rows are not there.</summary>
internal readonly struct EpilogueOperands(
    int isSwiGlu,
    Matrix<float> residual,
    Matrix<ulong> best,
    int vocabularySize,
    ArrayView<float> splitSums,
    ArrayView<int> tickets)
{
    /// <summary>1: y = silu(first) · second; row tiles of the two segments alternate within a unit.</summary>
    public readonly int IsSwiGlu = isSwiGlu;

    /// <summary>[M, N]</summary>
    public readonly Matrix<float> Residual = residual;

    /// <summary>[M, units] the largest of each unit's logits as <see cref="RankedToken"/>.</summary>
    public readonly Matrix<ulong> Best = best;

    /// <summary>Rows from here on are no tokens.</summary>
    public readonly int VocabularySize = vocabularySize;

    /// <summary>[splits, units, row tiles of a unit, M, 16] where K is split over groups.</summary>
    public readonly ArrayView<float> SplitSums = splitSums;

    /// <summary>[units] zeros, between launches.</summary>
    public readonly ArrayView<int> Tickets = tickets;
}
