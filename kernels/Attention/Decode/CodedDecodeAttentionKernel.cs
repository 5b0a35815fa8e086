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
[LaunchBounds(128, MinGroups = 3)]
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
    private const int QueryWords = 2 * DecodeGroup.MostSlices * MostStepWords;
    private const int MostStepWords = 64 + 4;

    private static int HeadDim => THead.Slices * DecodeGroup.SliceDims;

    private static int HeadEights => HeadDim / 8;

    private static int HeadQuads => HeadDim / 4;

    // Neighbouring eights of dimensions that a lane has of a word, and such words of a row that it has.
    private static int KeyEights => TKeys.WordEights < 2 * THead.Slices ? TKeys.WordEights : 2 * THead.Slices;

    // Operands of the query for 32 dimensions, two a lane; what is between two steps keeps lanes that store neighbouring eights off one bank.
    private static int StepWords => 64 + (8 / KeyEights);

    private static int KeyWords => 2 * THead.Slices / KeyEights;

    private static int ValueEights => TurnedOutput<THead, TValues>.LaneEights;

    private static int ValueWords => THead.Slices / ValueEights;

    // From one such word of a row to the lane's next: those of all lanes t, or g.
    private static int KeyTurnWords => KeyRowWords / KeyWords;

    private static int ValueTurnWords => ValueRowWords / ValueWords;

    private static int KeyRowWords => HeadEights / TKeys.WordEights;

    private static int ValueRowWords => HeadEights / TValues.WordEights;

    private static int KeyBlockWords => PageBlock.Words<TKeys>(HeadDim);

    private static int ValueBlockWords => PageBlock.Words<TValues>(HeadDim);

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
        ArrayView<UInt4> query = SharedMemory.Allocate<UInt4>(QueryWords);                              // 8.5 KiB
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
        ArrayView<UInt4> operands = query.SubView(lane);
        int block = Grid.IdxZ * plan.SplitBlocks;
        int end = XMath.Min(block + plan.SplitBlocks, plan.Blocks);
        int keyPlace = LaneKey();
        int valuePlace = LaneValue();
        int first = BlockOf(table[block]);
        int next = BlockOf(table[XMath.Min(block + 1, end - 1)]);
        for (int ahead = 0; ahead < Stages; ahead++)
        {
            ArrayView<UInt4> words = LaneWords(ring, ahead);
            int source = ahead == 0 ? first : next;
            if (block + ahead < end)
            {
                for (int w = 0; w < KeyWords; w++)
                    CopyKeys(words, source, keyPlace, w);
            }

            AsyncCopy.Commit();
            if (block + ahead < end)
            {
                for (int w = 0; w < ValueWords; w++)
                    CopyValues(words, source, valuePlace, w, lastToken - ((block + ahead) * KvCache.PageTokens));
            }

            AsyncCopy.Commit();
        }

        int copied = BlockOf(table[XMath.Min(block + Stages, end - 1)]);
        UInt4 keyScales = KeyScales(first, four);
        UInt4 valueScales = ValueScales(first, four);
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
            ArrayView<UInt4> words = LaneWords(ring, stage);
            Await();
            var scores = DecodeScores.From(-TKeys.Excess * total);
            for (int w = 0; w < KeyWords; w++)
            {
                UInt4 k0 = LaneKeys(words[(2 * w) * DecodeGroup.Size], t);
                UInt4 k8 = LaneKeys(words[((2 * w) + 1) * DecodeGroup.Size], t);
                for (int i = 0; i < KeyEights; i++)
                {
                    int place = ((w * KeyEights) + i) * StepWords;
                    scores = scores.AddTo(
                        operands[place], operands[place + 32], TKeys.OfRow(TKeys.FirstEight(k0)), TKeys.OfRow(TKeys.FirstEight(k8)));
                    k0 = TKeys.NextEight(k0);
                    k8 = TKeys.NextEight(k8);
                }

                if (more)
                    CopyKeys(words, copied, keyPlace, w);
            }

            AsyncCopy.Commit();
            int key = 4 * four;
            var weights = DecodeWeights.OfFewMaxima(
                max,
                key <= last ? Score(scores.Key0, keyScales.X, total) : float.NegativeInfinity,
                key + 1 <= last ? Score(scores.Key1, keyScales.Y, total) : float.NegativeInfinity,
                key + 2 <= last ? Score(scores.Key8, keyScales.Z, total) : float.NegativeInfinity,
                key + 3 <= last ? Score(scores.Key9, keyScales.W, total) : float.NegativeInfinity);
            keyScales = KeyScales(next, four);
            max = weights.Max;
            sum = (sum * weights.Shrink) + weights.Sum;

            // What stands behind the last token may be anything.
            var scaled = new ScaledWeights<TValues>(
                weights, key <= last ? valueScales.X : 0, key + 1 <= last ? valueScales.Y : 0, key + 2 <= last ? valueScales.Z : 0,
                key + 3 <= last ? valueScales.W : 0);
            UInt2 upper = scaled.Upper;
            UInt2 lower = scaled.Lower(upper);
            shared = (shared * weights.Shrink) + scaled.Shared(upper, lower);
            valueScales = ValueScales(next, four);
            float shrinkEven = WarpShuffle.From(weights.Shrink, 8 * t);             // head 2t is that of lanes 4 · 2t …
            float shrinkOdd = WarpShuffle.From(weights.Shrink, (8 * t) + 4);
            if (shrinkEven != 1 || shrinkOdd != 1)
                output = output.Scaled(shrinkEven, shrinkOdd);

            Await();
            for (int w = 0; w < ValueWords; w++)
            {
                int place = ((2 * KeyWords) + (4 * w)) * DecodeGroup.Size;
                UInt4 v0 = LaneValues(words[place], lane >> 2);
                UInt4 v1 = LaneValues(words[place + DecodeGroup.Size], lane >> 2);
                UInt4 v8 = LaneValues(words[place + (2 * DecodeGroup.Size)], lane >> 2);
                UInt4 v9 = LaneValues(words[place + (3 * DecodeGroup.Size)], lane >> 2);
                for (int i = 0; i < ValueEights; i++)
                {
                    output = THead.Turn(output, output.S0.Add(
                        TValues.OfRows(TValues.FirstEight(v0), TValues.FirstEight(v1)),
                        TValues.OfRows(TValues.FirstEight(v8), TValues.FirstEight(v9)), upper, lower));
                    v0 = TValues.NextEight(v0);
                    v1 = TValues.NextEight(v1);
                    v8 = TValues.NextEight(v8);
                    v9 = TValues.NextEight(v9);
                }

                if (more)
                    CopyValues(words, copied, valuePlace, w, last - (Stages * KvCache.PageTokens));
            }

            AsyncCopy.Commit();
            next = Stages == 1 ? BlockOf(following) : copied;
            copied = BlockOf(following);
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
            int place = (step * StepWords) + (4 * head) + (word & 3);
            query[place] = new UInt4(upper.X, lower.X, upper.Y, lower.Y);
            query[place + 32] = new UInt4(upper.Z, lower.Z, upper.W, lower.W);
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

    // The head's among all pages' blocks.
    private int BlockOf(int page) => (page * pages.KvHeads) + Grid.IdxY;

    private UInt4 KeyScales(int block, int four) =>
        TKeys.LoadFour(pages.Keys.SubView((block * KeyBlockWords) + (KvCache.PageTokens * KeyRowWords)), four);

    private UInt4 ValueScales(int block, int four) =>
        TValues.LoadFour(pages.Values.SubView((block * ValueBlockWords) + (KvCache.PageTokens * ValueRowWords)), four);

    // What the lane has of one stage of the ring, a group's threads apart: of keys, then of values.
    private static ArrayView<UInt4> LaneWords(ArrayView<UInt4> ring, int stage) =>
        ring.SubView((stage * PageWords * DecodeGroup.Size) + Group.IdxX);

    // Where in a block the lane's word of key g of its warp is; lanes t have words side by side.
    private static int LaneKey()
    {
        int lane = Group.IdxX & 31;
        int g = lane >> 2;
        int token = (DecodeGroup.WarpKeys * (Group.IdxX >> 5)) + (4 * (g >> 1)) + (g & 1);
        return (token * KeyRowWords) + (int)((uint)(KeyEights * (lane & 3)) / (uint)TKeys.WordEights);
    }

    // The lane's word of a value's row; lanes g have words side by side.
    private static int LaneValue() => (int)((uint)(ValueEights * ((Group.IdxX & 31) >> 2)) / (uint)TValues.WordEights);

    // Of keys g and g + 8 of the warp's sixteen the lane's word w. What lies behind the last token is read too, and its scores are not.
    private void CopyKeys(ArrayView<UInt4> words, int block, int place, int w)
    {
        ArrayView<UInt4> source = pages.Keys.SubView((block * KeyBlockWords) + place);
        int word = KeyTurnWords * w;
        AsyncCopy.Copy16(ref words[(2 * w) * DecodeGroup.Size], ref source[word]);
        AsyncCopy.Copy16(ref words[((2 * w) + 1) * DecodeGroup.Size], ref source[word + (2 * KeyRowWords)]);
    }

    // Of tokens 4t … 4t + 3 of the warp's sixteen the lane's word w.
    private void CopyValues(ArrayView<UInt4> words, int block, int place, int w, int last)
    {
        ArrayView<UInt4> source = pages.Values.SubView((block * ValueBlockWords) + place);
        int row = ((DecodeGroup.WarpKeys * (Group.IdxX >> 5)) + (4 * (Group.IdxX & 3))) * ValueRowWords;
        int lastRow = last * ValueRowWords;
        int word = ValueTurnWords * w;
        int target = ((2 * KeyWords) + (4 * w)) * DecodeGroup.Size;
        AsyncCopy.Copy16(ref words[target], ref source.SubView(XMath.Min(row, lastRow))[word]);
        AsyncCopy.Copy16(ref words[target + DecodeGroup.Size], ref source.SubView(XMath.Min(row + ValueRowWords, lastRow))[word]);
        AsyncCopy.Copy16(ref words[target + (2 * DecodeGroup.Size)], ref source.SubView(XMath.Min(row + (2 * ValueRowWords), lastRow))[word]);
        AsyncCopy.Copy16(ref words[target + (3 * DecodeGroup.Size)], ref source.SubView(XMath.Min(row + (3 * ValueRowWords), lastRow))[word]);
    }

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
        return TKeys.Excess != 0 ? Float32.Fma(rowScale, product, TKeys.AtCentre(stored, rowScale) * total) : rowScale * product;
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
