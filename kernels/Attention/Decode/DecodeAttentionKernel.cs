using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Attention of one row over one split of its keys and all query heads of one kv head: a group of four warps, each with sixteen of a
/// page's 64 tokens. The last group of a row merges what the splits gave. q: [T, H · 2 · Hd], y: [T, H · Hd], float in words of four;
/// pages: bf16 in words of eight.
/// </summary>
/// <remarks>
/// K is the B operand of m16n8k16 and q, as two bf16 in the two halves of the rows, the A operand; then Vᵀ is A and the weights B, whose
/// layout is the one in which the scores came out: nothing is transposed. A lane's copies go to places that it alone reads, so no barrier
/// stands between copy and use. Slice s of V is copied into the place of slice s of K once that is read, and the next page's K into V's.
/// </remarks>
[LaunchBounds(128)]
[Instantiation(typeof(Head256))]
[Instantiation(typeof(Head128))]
[Instantiation(typeof(Head64))]
internal readonly struct DecodeAttentionKernel<THead>(
    Matrix<Float4> q,
    KvPages<Bf16PageFormat, Bf16PageFormat> pages,
    PagedRows rows,
    int groupHeads,
    float scale,
    SplitScratch scratch,
    Matrix<Float4> y) : IGroupKernel
    where THead : struct, IHeadSlices
{
    private const int SliceWords = 8;                           // 16-byte words of a token in 64 dimensions
    private const int LaneWords = 4;                            // that a lane copies of a slice of sixteen keys
    private const int QueryWords = DecodeGroup.MostSlices * SliceWords * DecodeGroup.MostHeads;

    private static int HeadWords => THead.Slices * SliceWords;

    private static int HeadQuads => THead.Slices * DecodeGroup.SliceQuads;

    /// <summary>
    /// A group per row, kv head and split; those past a row's splits leave at once. Rows come first: those of one sequence read the
    /// same pages at about the same time.
    /// </summary>
    public KernelConfig Config => new(new Index3D(q.Rows, pages.KvHeads, scratch.Most), new Index3D(DecodeGroup.Size, 1, 1));

    public static void DecodeAttention(DecodeAttentionKernel<THead> kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<UInt4> ring = SharedMemory.Allocate<UInt4>(DecodeGroup.MostSlices * LaneWords * DecodeGroup.Size);      // 32 KiB
        ArrayView<UInt4> query = SharedMemory.Allocate<UInt4>(2 * QueryWords);                          // 8 KiB
        ArrayView<Float4> stats = SharedMemory.Allocate<Float4>(DecodeGroup.Warps * DecodeGroup.MostHeads);
        ArrayView<int> flag = SharedMemory.Allocate<int>(1);
        int row = Grid.IdxX;
        var plan = new SplitPlan(rows.Positions[row] + 1);
        int splits = plan.Splits;
        if (Grid.IdxZ < splits)
        {
            AttendToSplit(ring, query, stats, plan, row);
            ArrayView<Float4> outputs = ring.Cast<Float4>();
            new SplitMerge<THead, PlainOutput>(q, pages.KvHeads, groupHeads, scratch, y).Run(outputs, stats, flag, outputs, row, splits);
        }
    }

    // Leaves each warp's maxima and sums in stats and its weighted values in ring.
    private void AttendToSplit(ArrayView<UInt4> ring, ArrayView<UInt4> query, ArrayView<Float4> stats, SplitPlan plan, int row)
    {
        int kvHead = Grid.IdxY;
        int lane = Group.IdxX & 31;
        int warp = Group.IdxX >> 5;
        int t = lane & 3;
        int lastToken = rows.Positions[row];
        ArrayView<int> table = rows.Table(row);
        int block = Grid.IdxZ * plan.SplitBlocks;
        int end = XMath.Min(block + plan.SplitBlocks, plan.Blocks);
        int page = table[block];
        for (int s = 0; s < THead.Slices; s++)
        {
            CopyKeys(ring, pages.KeyBlock(page, kvHead), s, lastToken - (block * KvCache.PageTokens));
            AsyncCopy.Commit();
        }

        StageQuery(query, row, kvHead);
        Group.Barrier();

        float max = DecodeWeights.Lowest;
        float sum = 0;
        DecodeOutput output = default;
        for (; block < end; block++)
        {
            int last = lastToken - (block * KvCache.PageTokens);
            bool more = block + 1 < end;
            int nextPage = table[more ? block + 1 : block];
            ArrayView<UInt4> values = pages.ValueBlock(page, kvHead);
            DecodeScores scores = default;
            for (int s = 0; s < THead.Slices; s++)
            {
                THead.AwaitSlice();
                for (int half = 0; half < 2; half++)
                {
                    int place = (32 * ((2 * s) + half)) + lane;
                    scores = scores.Add(
                        query[place], query[QueryWords + place], ring[Place(s, 2 * half)], ring[Place(s, (2 * half) + 1)]);
                }

                CopyValues(ring, values, s, last);
                AsyncCopy.Commit();
            }

            int key = (DecodeGroup.WarpKeys * warp) + (2 * t);
            float s0 = key <= last ? scores.Key0 : float.NegativeInfinity;
            float s1 = key + 1 <= last ? scores.Key1 : float.NegativeInfinity;
            float s8 = key + 8 <= last ? scores.Key8 : float.NegativeInfinity;
            float s9 = key + 9 <= last ? scores.Key9 : float.NegativeInfinity;
            var weights = DecodeWeights.Of(max, s0, s1, s8, s9);
            max = weights.Max;
            sum = (sum * weights.Shrink) + weights.Sum;
            var upper = new UInt2(Bf16x2.Pack(weights.Key0, weights.Key1), Bf16x2.Pack(weights.Key8, weights.Key9));
            var lower = new UInt2(
                DecodeWeights.Rest(weights.Key0, weights.Key1, upper.X), DecodeWeights.Rest(weights.Key8, weights.Key9, upper.Y));
            float shrinkEven = WarpShuffle.From(weights.Shrink, 8 * t);             // head 2t is that of lanes 4 · 2t …
            float shrinkOdd = WarpShuffle.From(weights.Shrink, (8 * t) + 4);

            for (int s = 0; s < THead.Slices; s++)
            {
                THead.AwaitSlice();
                output = THead.Turn(output, output.S0.Scaled(shrinkEven, shrinkOdd).Add(
                    ring[Place(s, 0)], ring[Place(s, 1)], ring[Place(s, 2)], ring[Place(s, 3)], upper, lower));
                if (more)
                    CopyKeys(ring, pages.KeyBlock(nextPage, kvHead), s, last - KvCache.PageTokens);
                AsyncCopy.Commit();
            }

            page = nextPage;
        }

        sum = WarpReduce.SumOfFour(sum);
        Group.Barrier();                                        // nobody still reads the ring
        if (t == 0)
            stats[(warp * DecodeGroup.MostHeads) + (lane >> 2)] = new Float4(max, sum, 0, 0);
        StoreOutput(ring.Cast<Float4>(), output);
        Group.Barrier();
    }

    // Word c of head h lies where lane 4h + c % 4 reads its (c / 4)th; the lower halves behind the upper ones. Heads past the last are 0.
    private void StageQuery(ArrayView<UInt4> query, int row, int kvHead)
    {
        ArrayView<Float4> heads = q.Row(row);
        for (int i = Group.IdxX; i < DecodeGroup.MostHeads * HeadWords; i += DecodeGroup.Size)
        {
            int head = (int)((uint)i / (uint)HeadWords);
            int word = i - (head * HeadWords);
            int source = (2 * HeadQuads * ((kvHead * groupHeads) + XMath.Min(head, groupHeads - 1))) + (2 * word);
            float factor = head < groupHeads ? scale : 0;
            Float4 left = heads[source] * factor;
            Float4 right = heads[source + 1] * factor;
            var upper = new UInt4(
                Bf16x2.Pack(left.X, left.Y), Bf16x2.Pack(left.Z, left.W), Bf16x2.Pack(right.X, right.Y), Bf16x2.Pack(right.Z, right.W));
            int place = ((word >> 2) * 32) + (head * 4) + (word & 3);
            query[place] = upper;
            query[QueryWords + place] = new UInt4(
                DecodeWeights.Rest(left.X, left.Y, upper.X), DecodeWeights.Rest(left.Z, left.W, upper.Y),
                DecodeWeights.Rest(right.X, right.Y, upper.Z), DecodeWeights.Rest(right.Z, right.W, upper.W));
        }
    }

    // Of keys g and g + 8 of the warp's sixteen the words t and t + 4 of slice s.
    private void CopyKeys(ArrayView<UInt4> ring, ArrayView<UInt4> keys, int s, int last)
    {
        int g = (Group.IdxX & 31) >> 2;
        int word = (s * SliceWords) + (Group.IdxX & 3);
        int key0 = Row(g, last) + word;
        int key8 = Row(g + 8, last) + word;
        AsyncCopy.Copy16(ref ring[Place(s, 0)], ref keys[key0]);
        AsyncCopy.Copy16(ref ring[Place(s, 1)], ref keys[key8]);
        AsyncCopy.Copy16(ref ring[Place(s, 2)], ref keys[key0 + 4]);
        AsyncCopy.Copy16(ref ring[Place(s, 3)], ref keys[key8 + 4]);
    }

    // Of keys 2t, 2t + 1, 2t + 8 and 2t + 9 of the warp's sixteen word g of slice s.
    private void CopyValues(ArrayView<UInt4> ring, ArrayView<UInt4> values, int s, int last)
    {
        int t = Group.IdxX & 3;
        int word = (s * SliceWords) + ((Group.IdxX & 31) >> 2);
        AsyncCopy.Copy16(ref ring[Place(s, 0)], ref values[Row(2 * t, last) + word]);
        AsyncCopy.Copy16(ref ring[Place(s, 1)], ref values[Row((2 * t) + 1, last) + word]);
        AsyncCopy.Copy16(ref ring[Place(s, 2)], ref values[Row((2 * t) + 8, last) + word]);
        AsyncCopy.Copy16(ref ring[Place(s, 3)], ref values[Row((2 * t) + 9, last) + word]);
    }

    // Past the last token it stands in with weight 0: what lies behind it in the page may be anything, NaN too.
    private static int Row(int key, int last)
    {
        int token = (DecodeGroup.WarpKeys * (Group.IdxX >> 5)) + key;
        return (token < last ? token : last) * HeadWords;
    }

    private static int Place(int slice, int word) => (((slice * LaneWords) + word) * DecodeGroup.Size) + Group.IdxX;

    // [warp, head, Hd]
    private static void StoreOutput(ArrayView<Float4> outputs, DecodeOutput output)
    {
        StoreSlice(outputs, output.S0, 0);
        if (THead.Slices > 1)
            StoreSlice(outputs, output.S1, 1);
        if (THead.Slices > 2)
        {
            StoreSlice(outputs, output.S2, 2);
            StoreSlice(outputs, output.S3, 3);
        }
    }

    private static void StoreSlice(ArrayView<Float4> outputs, DecodeOutputSlice slice, int s)
    {
        int lane = Group.IdxX & 31;
        int head = ((Group.IdxX >> 5) * DecodeGroup.MostHeads) + (2 * (lane & 3));
        int even = (head * HeadQuads) + (s * DecodeGroup.SliceQuads) + (2 * (lane >> 2));
        int odd = even + HeadQuads;
        outputs[even] = slice.EvenLow;
        outputs[even + 1] = slice.EvenHigh;
        outputs[odd] = slice.OddLow;
        outputs[odd + 1] = slice.OddHigh;
    }

}
