using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// <see cref="DecodeAttentionKernel{THead}"/> over pages of codes: a group of four warps a split, each with sixteen of a page's 64 tokens,
/// codes become bf16 in registers. The query is turned as the rows were, what is merged is turned back. q: [T, H · 2 · Hd], y: [T, H · Hd],
/// float in words of four.
/// </summary>
/// <remarks>
/// A score is scale · (q · operand − Excess · Σq) + middle · Σq, with Σq of the bf16 that q is in the products; weights times the values'
/// scales go into those, and what is one number for all dimensions of a head, Σ weight · middle − Excess · Σ weight · scale, is added at
/// the end. Keys 2t, 2t + 1, 2t + 8 and 2t + 9 of m16n8k16 are tokens 4t … 4t + 3, whose scales a lane loads at once, a page ahead.
/// A lane's copies go to places that it alone reads; a place is filled again, with the same of the next page or the one after it, once it is
/// read.
/// </remarks>
[LaunchBounds(128)]
[Instantiation(typeof(Head256), typeof(Int8PageFormat), typeof(Int8PageFormat))]
[Instantiation(typeof(Head256), typeof(Int4PageFormat), typeof(Int4PageFormat))]
[Instantiation(typeof(Head256), typeof(Int8PageFormat), typeof(Int4PageFormat))]
[Instantiation(typeof(Head128), typeof(Int8PageFormat), typeof(Int8PageFormat))]
[Instantiation(typeof(Head128), typeof(Int4PageFormat), typeof(Int4PageFormat))]
[Instantiation(typeof(Head128), typeof(Int8PageFormat), typeof(Int4PageFormat))]
[Instantiation(typeof(Head64), typeof(Int8PageFormat), typeof(Int8PageFormat))]
[Instantiation(typeof(Head64), typeof(Int4PageFormat), typeof(Int4PageFormat))]
[Instantiation(typeof(Head64), typeof(Int8PageFormat), typeof(Int4PageFormat))]
internal readonly struct CodedDecodeAttentionKernel<THead, TKeys, TValues>(
    Matrix<Float4> q,
    KvPages<TKeys, TValues> pages,
    PagedRows rows,
    int groupHeads,
    float scale,
    SplitScratch scratch,
    Matrix<Float4> y) : IGroupKernel
    where THead : struct, IHeadSlices
    where TKeys : struct, ICodedPageFormat
    where TValues : struct, ICodedPageFormat
{
    private const int RingWords = 16;                           // of a lane
    private const int QueryWords = 2 * DecodeGroup.MostSlices * DecodeGroup.Size / 4;

    private static int HeadDim => THead.Slices * DecodeGroup.SliceDims;

    private static int HeadEights => HeadDim / 8;

    private static int HeadQuads => HeadDim / 4;

    // Neighbouring eights of dimensions that a lane has of a word, and such words of a row that it has.
    private static int KeyEights => TKeys.WordEights < 2 * THead.Slices ? TKeys.WordEights : 2 * THead.Slices;

    private static int KeyWords => 2 * THead.Slices / KeyEights;

    private static int ValueEights => TurnedOutput<THead, TValues>.LaneEights;

    private static int ValueWords => THead.Slices / ValueEights;

    private static int KeyRowWords => HeadEights / TKeys.WordEights;

    private static int ValueRowWords => HeadEights / TValues.WordEights;

    // Of two keys and of four values.
    private static int PageWords => (2 * KeyWords) + (4 * ValueWords);

    /// <summary>Pages whose copies are under way or in use.</summary>
    private static int Stages => PageWords <= RingWords / 2 ? 2 : 1;

    /// <summary>
    /// A group per row, kv head and split; those past a row's splits leave at once. Rows come first: those of one sequence read the
    /// same pages at about the same time.
    /// </summary>
    public KernelConfig Config => new(new Index3D(q.Rows, pages.KvHeads, scratch.Most), new Index3D(DecodeGroup.Size, 1, 1));

    public static void DecodeAttention(CodedDecodeAttentionKernel<THead, TKeys, TValues> kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<UInt4> ring = SharedMemory.Allocate<UInt4>(RingWords * DecodeGroup.Size);             // 32 KiB
        ArrayView<UInt4> query = SharedMemory.Allocate<UInt4>(2 * QueryWords);                          // 8 KiB
        ArrayView<Float4> stats = SharedMemory.Allocate<Float4>(DecodeGroup.Warps * DecodeGroup.MostHeads);
        ArrayView<float> totals = SharedMemory.Allocate<float>(DecodeGroup.MostHeads);
        ArrayView<int> flag = SharedMemory.Allocate<int>(1);
        int row = Grid.IdxX;
        var plan = new SplitPlan(rows.Positions[row] + 1);
        int splits = plan.Splits;
        if (Grid.IdxZ < splits)
        {
            AttendToSplit(ring, query, totals, stats, plan, row);
            new SplitMerge<THead, TurnedOutput<THead, TValues>>(q, pages.KvHeads, groupHeads, scratch, y).Run(
                ring.Cast<Float4>(), stats, flag, query.Cast<Float4>(), row, splits);
        }
    }

    // Leaves each warp's maxima and sums in stats and its weighted values in ring.
    private void AttendToSplit(
        ArrayView<UInt4> ring, ArrayView<UInt4> query, ArrayView<float> totals, ArrayView<Float4> stats, SplitPlan plan, int row)
    {
        int kvHead = Grid.IdxY;
        int lane = Group.IdxX & 31;
        int warp = Group.IdxX >> 5;
        int t = lane & 3;
        int four = (DecodeGroup.WarpKeys / 4 * warp) + t;
        int lastToken = rows.Positions[row];
        ArrayView<int> table = rows.Table(row);
        int block = Grid.IdxZ * plan.SplitBlocks;
        int end = XMath.Min(block + plan.SplitBlocks, plan.Blocks);
        int next = table[XMath.Min(block + 1, end - 1)];
        for (int ahead = 0; ahead < Stages; ahead++)
        {
            int page = ahead == 0 ? table[block] : next;
            if (block + ahead < end)
            {
                for (int w = 0; w < KeyWords; w++)
                    CopyKeys(ring, pages.KeyBlock(page, kvHead), ahead, w);
            }

            AsyncCopy.Commit();
            if (block + ahead < end)
            {
                for (int w = 0; w < ValueWords; w++)
                    CopyValues(ring, pages.ValueBlock(page, kvHead), ahead, w, lastToken - ((block + ahead) * KvCache.PageTokens));
            }

            AsyncCopy.Commit();
        }

        int copied = table[XMath.Min(block + Stages, end - 1)];
        UInt4 keyScales = KeyScales(table[block], kvHead, four);
        UInt4 valueScales = ValueScales(table[block], kvHead, four);
        StageQuery(query, totals, row, kvHead);
        Group.Barrier();

        float total = TKeys.Excess != 0 ? totals[lane >> 2] : 0;
        float max = DecodeWeights.Lowest;
        float sum = 0;
        float shared = 0;                                       // what all dimensions have in common
        int stage = 0;
        DecodeOutput output = default;
        for (; block < end; block++)
        {
            int last = lastToken - (block * KvCache.PageTokens);
            bool more = block + Stages < end;
            int following = table[XMath.Min(block + Stages + 1, end - 1)];
            UInt4 nextKeyScales = KeyScales(next, kvHead, four);
            UInt4 nextValueScales = ValueScales(next, kvHead, four);
            ArrayView<UInt4> keys = pages.KeyBlock(copied, kvHead);
            ArrayView<UInt4> values = pages.ValueBlock(copied, kvHead);
            Await();
            var scores = DecodeScores.From(-TKeys.Excess * total);
            for (int w = 0; w < KeyWords; w++)
            {
                UInt4 k0 = LaneKeys(ring[Place(stage, 2 * w)], t);
                UInt4 k8 = LaneKeys(ring[Place(stage, (2 * w) + 1)], t);
                for (int i = 0; i < KeyEights; i++)
                {
                    int place = QueryPlace((w * KeyEights) + i, lane);
                    scores = scores.Add(
                        query[place], query[QueryWords + place],
                        TKeys.OfRow(TKeys.FirstEight(k0)), TKeys.OfRow(TKeys.FirstEight(k8)));
                    k0 = TKeys.NextEight(k0);
                    k8 = TKeys.NextEight(k8);
                }

                if (more)
                    CopyKeys(ring, keys, stage, w);
            }

            AsyncCopy.Commit();
            int key = 4 * four;
            var weights = DecodeWeights.Of(
                max,
                key <= last ? Score(scores.Key0, keyScales.X, total) : float.NegativeInfinity,
                key + 1 <= last ? Score(scores.Key1, keyScales.Y, total) : float.NegativeInfinity,
                key + 2 <= last ? Score(scores.Key8, keyScales.Z, total) : float.NegativeInfinity,
                key + 3 <= last ? Score(scores.Key9, keyScales.W, total) : float.NegativeInfinity);
            max = weights.Max;
            sum = (sum * weights.Shrink) + weights.Sum;

            // What stands behind the last token may be anything.
            var scaled = new ScaledWeights<TValues>(
                weights, key <= last ? valueScales.X : 0, key + 1 <= last ? valueScales.Y : 0, key + 2 <= last ? valueScales.Z : 0,
                key + 3 <= last ? valueScales.W : 0);
            UInt2 upper = scaled.Upper;
            UInt2 lower = scaled.Lower(upper);
            shared = (shared * weights.Shrink) + scaled.Shared(upper, lower);
            float shrinkEven = WarpShuffle.From(weights.Shrink, 8 * t);             // head 2t is that of lanes 4 · 2t …
            float shrinkOdd = WarpShuffle.From(weights.Shrink, (8 * t) + 4);

            Await();
            for (int w = 0; w < ValueWords; w++)
            {
                int place = (2 * KeyWords) + (4 * w);
                UInt4 v0 = LaneValues(ring[Place(stage, place)], lane >> 2);
                UInt4 v1 = LaneValues(ring[Place(stage, place + 1)], lane >> 2);
                UInt4 v8 = LaneValues(ring[Place(stage, place + 2)], lane >> 2);
                UInt4 v9 = LaneValues(ring[Place(stage, place + 3)], lane >> 2);
                for (int i = 0; i < ValueEights; i++)
                {
                    output = THead.Turn(output, output.S0.Scaled(shrinkEven, shrinkOdd).Add(
                        TValues.OfRows(TValues.FirstEight(v0), TValues.FirstEight(v1)),
                        TValues.OfRows(TValues.FirstEight(v8), TValues.FirstEight(v9)), upper, lower));
                    v0 = TValues.NextEight(v0);
                    v1 = TValues.NextEight(v1);
                    v8 = TValues.NextEight(v8);
                    v9 = TValues.NextEight(v9);
                }

                if (more)
                    CopyValues(ring, values, stage, w, last - (Stages * KvCache.PageTokens));
            }

            AsyncCopy.Commit();
            keyScales = nextKeyScales;
            valueScales = nextValueScales;
            next = Stages == 1 ? following : copied;
            copied = following;
            stage = Stages == 1 ? 0 : stage ^ 1;
        }

        sum = WarpReduce.SumOfFour(sum);
        shared = WarpReduce.SumOfFour(shared);
        Group.Barrier();                                        // nobody still reads the ring
        if (t == 0)
            stats[(warp * DecodeGroup.MostHeads) + (lane >> 2)] = new Float4(max, sum, 0, 0);
        float even = TValues.Excess != 0 ? WarpShuffle.From(shared, 8 * t) : 0;
        float odd = TValues.Excess != 0 ? WarpShuffle.From(shared, (8 * t) + 4) : 0;
        StoreSlice(ring.Cast<Float4>(), output.S0, 0, even, odd);
        if (THead.Slices > 1)
            StoreSlice(ring.Cast<Float4>(), output.S1, 1, even, odd);
        if (THead.Slices > 2)
        {
            StoreSlice(ring.Cast<Float4>(), output.S2, 2, even, odd);
            StoreSlice(ring.Cast<Float4>(), output.S3, 3, even, odd);
        }

        Group.Barrier();
    }

    // Turned, as two bf16, an eight of dimensions a lane: where the lane reads it that has the same eight of the keys. totals: Σ of a
    // head's. Heads past the last are 0.
    private void StageQuery(ArrayView<UInt4> query, ArrayView<float> totals, int row, int kvHead)
    {
        ArrayView<Float4> heads = q.Row(row);
        for (int i = Group.IdxX; i < DecodeGroup.MostHeads * HeadEights; i += DecodeGroup.Size)
        {
            int head = (int)((uint)i / (uint)HeadEights);
            int eight = i - (head * HeadEights);
            int source = (2 * HeadQuads * ((kvHead * groupHeads) + XMath.Min(head, groupHeads - 1))) + (2 * eight);
            Float8 turned = Hadamard.OfWarp(new Float8(heads[source], heads[source + 1]), HeadDim);
            Float8 values = TKeys.InOperandOrder(turned);
            float factor = head < groupHeads ? scale : 0;
            Float4 left = values.Low * factor;
            Float4 right = values.High * factor;
            var upper = new UInt4(
                Bf16x2.Pack(left.X, left.Y), Bf16x2.Pack(left.Z, left.W), Bf16x2.Pack(right.X, right.Y), Bf16x2.Pack(right.Z, right.W));
            var lower = new UInt4(
                DecodeWeights.Rest(left.X, left.Y, upper.X), DecodeWeights.Rest(left.Z, left.W, upper.Y),
                DecodeWeights.Rest(right.X, right.Y, upper.Z), DecodeWeights.Rest(right.Z, right.W, upper.W));
            int word = (int)((uint)eight / (uint)KeyEights);
            int step = ((word >> 2) * KeyEights) + (eight - (word * KeyEights));
            int place = QueryPlace(step, (4 * head) + (word & 3));
            query[place] = upper;
            query[QueryWords + place] = lower;
            if (TKeys.Excess != 0)
            {
                float total = SumOf(upper) + SumOf(lower);
                for (int distance = 1; distance < HeadEights; distance <<= 1)
                    total += WarpShuffle.Xor(total, distance);
                if (eight == 0)
                    totals[head] = total;
            }
        }
    }

    // Of the eights that a lane reads one after the other. The lanes of a step are exchanged within their eights, so that those that store
    // neighbouring eights do not meet in one bank.
    private static int QueryPlace(int step, int lane) => (32 * step) + (lane ^ (8 / KeyEights * (step & (KeyEights - 1))));

    private UInt4 KeyScales(int page, int kvHead, int four) =>
        TKeys.LoadFour(PageBlock.Scales<TKeys>(pages.KeyBlock(page, kvHead), HeadDim), four);

    private UInt4 ValueScales(int page, int kvHead, int four) =>
        TValues.LoadFour(PageBlock.Scales<TValues>(pages.ValueBlock(page, kvHead), HeadDim), four);

    // Of keys g and g + 8 of the warp's sixteen the lane's word w: of lanes t side by side. What lies behind the last token is read too,
    // and its scores are not.
    private static void CopyKeys(ArrayView<UInt4> ring, ArrayView<UInt4> keys, int stage, int w)
    {
        int lane = Group.IdxX & 31;
        int g = lane >> 2;
        int token = (DecodeGroup.WarpKeys * (Group.IdxX >> 5)) + (4 * (g >> 1)) + (g & 1);
        int source = (token * KeyRowWords) + (KeyEights * ((4 * w) + (lane & 3)) / TKeys.WordEights);
        AsyncCopy.Copy16(ref ring[Place(stage, 2 * w)], ref keys[source]);
        AsyncCopy.Copy16(ref ring[Place(stage, (2 * w) + 1)], ref keys[source + (2 * KeyRowWords)]);
    }

    // Of tokens 4t … 4t + 3 of the warp's sixteen the lane's word w: of lanes g side by side.
    private static void CopyValues(ArrayView<UInt4> ring, ArrayView<UInt4> values, int stage, int w, int last)
    {
        int token = (DecodeGroup.WarpKeys * (Group.IdxX >> 5)) + (4 * (Group.IdxX & 3));
        int word = ValueEights * ((8 * w) + ((Group.IdxX & 31) >> 2)) / TValues.WordEights;
        int place = (2 * KeyWords) + (4 * w);
        AsyncCopy.Copy16(ref ring[Place(stage, place)], ref values[(XMath.Min(token, last) * ValueRowWords) + word]);
        AsyncCopy.Copy16(ref ring[Place(stage, place + 1)], ref values[(XMath.Min(token + 1, last) * ValueRowWords) + word]);
        AsyncCopy.Copy16(ref ring[Place(stage, place + 2)], ref values[(XMath.Min(token + 2, last) * ValueRowWords) + word]);
        AsyncCopy.Copy16(ref ring[Place(stage, place + 3)], ref values[(XMath.Min(token + 3, last) * ValueRowWords) + word]);
    }

    private static int Place(int stage, int word) => (((stage * PageWords) + word) * DecodeGroup.Size) + Group.IdxX;

    // Two copies a page: the older of all that are under way.
    private static void Await()
    {
        if (Stages == 1)
            AsyncCopy.Wait1();
        else
            AsyncCopy.Wait3();
    }

    // Where lanes share a word, the lane's eights first.
    private static UInt4 LaneKeys(UInt4 word, int t) =>
        KeyEights < TKeys.WordEights && (t & 1) != 0 ? TKeys.NextEight(TKeys.NextEight(word)) : word;

    private static UInt4 LaneValues(UInt4 word, int g)
    {
        if (ValueEights == TValues.WordEights)
            return word;
        if (ValueEights == 1 && (g & 1) != 0)
            word = TValues.NextEight(word);
        int half = TValues.WordEights == 4 ? g & (2 / ValueEights) : 0;
        return half != 0 ? TValues.NextEight(TValues.NextEight(word)) : word;
    }

    private static float Score(float product, uint stored, float total)
    {
        float rowScale = TKeys.Scale(stored);
        return TKeys.Excess != 0 ? Float32.Fma(rowScale, product, TKeys.Middle(stored, rowScale) * total) : rowScale * product;
    }

    private static float SumOf(UInt4 pairs) =>
        (DecodeWeights.SumOf(pairs.X) + DecodeWeights.SumOf(pairs.Y)) + (DecodeWeights.SumOf(pairs.Z) + DecodeWeights.SumOf(pairs.W));

    private static void StoreSlice(ArrayView<Float4> outputs, DecodeOutputSlice slice, int s, float even, float odd)
    {
        int lane = Group.IdxX & 31;
        int warpWords = (Group.IdxX >> 5) * DecodeGroup.MostHeads * HeadQuads;
        int head = 2 * (lane & 3);
        int turn = (int)((uint)s / (uint)ValueEights);
        int word = 2 * ((ValueEights * ((lane >> 2) + (8 * turn))) + (s - (turn * ValueEights)));
        outputs[warpWords + Place(head, word)] = slice.EvenLow + new Float4(even, even, even, even);
        outputs[warpWords + Place(head, word + 1)] = slice.EvenHigh + new Float4(even, even, even, even);
        outputs[warpWords + Place(head + 1, word)] = slice.OddLow + new Float4(odd, odd, odd, odd);
        outputs[warpWords + Place(head + 1, word + 1)] = slice.OddHigh + new Float4(odd, odd, odd, odd);

        static int Place(int head, int word) => TurnedOutput<THead, TValues>.Place((head * HeadQuads) + word, head, word);
    }
}
