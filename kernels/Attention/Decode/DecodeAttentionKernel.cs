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
    /// <summary>Threads of a group.</summary>
    public const int GroupSize = 32 * Warps;

    /// <summary>Query heads of a kv head, at most.</summary>
    public const int MostHeads = 8;

    private const int Warps = 4;
    private const int WarpKeys = 16;
    private const int SliceWords = 8;                           // 16-byte words of a token in 64 dimensions
    private const int SliceQuads = 16;                          // float words of a head in 64 dimensions
    private const int LaneWords = 4;                            // that a lane copies of a slice of sixteen keys
    private const int MostSlices = 4;
    private const int QueryWords = MostSlices * SliceWords * MostHeads;

    // Below every score and finite, so that differences of two maxima are numbers.
    private const float Lowest = -1e38f;
    private const float Log2E = 1.44269504f;

    private static int HeadWords => THead.Slices * SliceWords;

    private static int HeadQuads => THead.Slices * SliceQuads;

    /// <summary>
    /// A group per row, kv head and split; those past a row's splits leave at once. Rows come first: those of one sequence read the
    /// same pages at about the same time.
    /// </summary>
    public KernelConfig Config => new(new Index3D(q.Rows, pages.KvHeads, scratch.Most), new Index3D(GroupSize, 1, 1));

    public static void DecodeAttention(DecodeAttentionKernel<THead> kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<UInt4> ring = SharedMemory.Allocate<UInt4>(MostSlices * LaneWords * GroupSize);      // 32 KiB
        ArrayView<UInt4> query = SharedMemory.Allocate<UInt4>(2 * QueryWords);                          // 8 KiB
        ArrayView<Float4> stats = SharedMemory.Allocate<Float4>(Warps * MostHeads);
        ArrayView<int> flag = SharedMemory.Allocate<int>(1);
        int row = Grid.IdxX;
        var plan = new SplitPlan(rows.Positions[row] + 1);
        int splits = plan.Splits;
        if (Grid.IdxZ < splits)
        {
            AttendToSplit(ring, query, stats, plan, row);
            Merge(ring.Cast<Float4>(), stats, flag, row, splits);
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

        float max = Lowest;
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

            int key = (WarpKeys * warp) + (2 * t);
            float s0 = key <= last ? scores.Key0 : float.NegativeInfinity;
            float s1 = key + 1 <= last ? scores.Key1 : float.NegativeInfinity;
            float s8 = key + 8 <= last ? scores.Key8 : float.NegativeInfinity;
            float s9 = key + 9 <= last ? scores.Key9 : float.NegativeInfinity;
            float higher = Larger(max, MaxOfFour(Larger(Larger(s0, s1), Larger(s8, s9))));
            float shrink = Float32.Exp2(max - higher);          // of what earlier pages gave; 0 at the first
            max = higher;
            float p0 = Float32.Exp2(s0 - max);
            float p1 = Float32.Exp2(s1 - max);
            float p8 = Float32.Exp2(s8 - max);
            float p9 = Float32.Exp2(s9 - max);
            sum = (sum * shrink) + ((p0 + p1) + (p8 + p9));
            var upper = new UInt2(Bf16x2.Pack(p0, p1), Bf16x2.Pack(p8, p9));
            var lower = new UInt2(Rest(p0, p1, upper.X), Rest(p8, p9, upper.Y));
            float shrinkEven = WarpShuffle.From(shrink, 8 * t);             // head 2t is that of lanes 4 · 2t …
            float shrinkOdd = WarpShuffle.From(shrink, (8 * t) + 4);

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
            stats[(warp * MostHeads) + (lane >> 2)] = new Float4(max, sum, 0, 0);
        StoreOutput(ring.Cast<Float4>(), output);
        Group.Barrier();
    }

    // Word c of head h lies where lane 4h + c % 4 reads its (c / 4)th; the lower halves behind the upper ones. Heads past the last are 0.
    private void StageQuery(ArrayView<UInt4> query, int row, int kvHead)
    {
        ArrayView<Float4> heads = q.Row(row);
        for (int i = Group.IdxX; i < MostHeads * HeadWords; i += GroupSize)
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
                Rest(left.X, left.Y, upper.X), Rest(left.Z, left.W, upper.Y),
                Rest(right.X, right.Y, upper.Z), Rest(right.Z, right.W, upper.W));
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
        int token = (WarpKeys * (Group.IdxX >> 5)) + key;
        return (token < last ? token : last) * HeadWords;
    }

    private static int Place(int slice, int word) => (((slice * LaneWords) + word) * GroupSize) + Group.IdxX;

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
        int head = ((Group.IdxX >> 5) * MostHeads) + (2 * (lane & 3));
        int even = (head * HeadQuads) + (s * SliceQuads) + (2 * (lane >> 2));
        int odd = even + HeadQuads;
        outputs[even] = slice.EvenLow;
        outputs[even + 1] = slice.EvenHigh;
        outputs[odd] = slice.OddLow;
        outputs[odd + 1] = slice.OddHigh;
    }

    // The warps' parts into the split's; the last of eight splits merges these, the last of a row's eights merges those. A row of one
    // split or one eight ends there.
    private void Merge(ArrayView<Float4> outputs, ArrayView<Float4> stats, ArrayView<int> flag, int row, int splits)
    {
        int split = Grid.IdxZ;
        int eight = (int)((uint)split / SplitPlan.Eight);
        int eights = SplitPlan.Eights(splits);
        int firstTicket = ((row * pages.KvHeads) + Grid.IdxY) * (1 + SplitPlan.Eight);
        MergeWarps(outputs, stats, row, split, splits == 1);
        if (splits > 1 && LastGroup.Is(scratch.Tickets, firstTicket + 1 + eight, SplitPlan.SplitsOf(eight, splits), flag))
        {
            MergeParts(row, eight * SplitPlan.Eight, SplitPlan.SplitsOf(eight, splits), scratch.Most + eight, eights == 1);
            if (eights > 1 && LastGroup.Is(scratch.Tickets, firstTicket, eights, flag))
                MergeParts(row, scratch.Most, eights, scratch.Most + eight, isWhole: true);
        }
    }

    private void MergeWarps(ArrayView<Float4> outputs, ArrayView<Float4> stats, int row, int slot, bool isWhole)
    {
        for (int i = Group.IdxX; i < groupHeads * HeadQuads; i += GroupSize)
        {
            int head = (int)((uint)i / (uint)HeadQuads);
            float max = Lowest;
            for (int warp = 0; warp < Warps; warp++)
                max = Larger(max, stats[(warp * MostHeads) + head].X);
            float sum = 0;
            var output = new Float4(0, 0, 0, 0);
            for (int warp = 0; warp < Warps; warp++)
            {
                Float4 part = stats[(warp * MostHeads) + head];
                float weight = Float32.Exp2(part.X - max);
                sum = Float32.Fma(part.Y, weight, sum);
                output = Float32.Fma(outputs[(warp * MostHeads * HeadQuads) + i], weight, output);
            }

            Store(row, slot, i, new MergedWord(max, sum, output), isWhole);
        }
    }

    // Parts first … first + count − 1. Of a slice each thread has one word; all are loaded before any is stored.
    private void MergeParts(int row, int first, int count, int slot, bool isWhole)
    {
        MergedWord w0 = MergedPart(row, first, count, 0);
        MergedWord w1 = THead.Slices > 1 ? MergedPart(row, first, count, 1) : default;
        MergedWord w2 = THead.Slices > 2 ? MergedPart(row, first, count, 2) : default;
        MergedWord w3 = THead.Slices > 2 ? MergedPart(row, first, count, 3) : default;
        Store(row, slot, Group.IdxX, w0, isWhole);
        if (THead.Slices > 1)
            Store(row, slot, GroupSize + Group.IdxX, w1, isWhole);
        if (THead.Slices > 2)
        {
            Store(row, slot, (2 * GroupSize) + Group.IdxX, w2, isWhole);
            Store(row, slot, (3 * GroupSize) + Group.IdxX, w3, isWhole);
        }
    }

    // In the order of the parts; all loads are under way at once, those past the last part once more with weight 0.
    private MergedWord MergedPart(int row, int first, int count, int turn)
    {
        int i = XMath.Min((turn * GroupSize) + Group.IdxX, (groupHeads * HeadQuads) - 1);
        int head = (int)((uint)i / (uint)HeadQuads);
        float max = Lowest;
        for (int n = 0; n < SplitPlan.Eight; n++)
            max = Larger(max, scratch.Partials[Stats(row, first + XMath.Min(n, count - 1), head)].X);
        float sum = 0;
        var output = new Float4(0, 0, 0, 0);
        for (int n = 0; n < SplitPlan.Eight; n++)
        {
            int part = first + XMath.Min(n, count - 1);
            Float4 stats = scratch.Partials[Stats(row, part, head)];
            float weight = n < count ? Float32.Exp2(stats.X - max) : 0;
            sum = Float32.Fma(stats.Y, weight, sum);
            output = Float32.Fma(scratch.Partials[Part(row, part) + head + i], weight, output);
        }

        return new MergedWord(max, sum, output);
    }

    // Word i of the heads' dimensions, where there is one: finished into y, or as a part that is merged later.
    private void Store(int row, int slot, int i, MergedWord merged, bool isWhole)
    {
        if (i >= groupHeads * HeadQuads)
            return;
        int head = (int)((uint)i / (uint)HeadQuads);
        int word = i - (head * HeadQuads);
        if (isWhole)
        {
            int queryHead = (Grid.IdxY * groupHeads) + head;
            Float4 output = merged.Output * Float32.Reciprocal(merged.Sum);
            Float4 gate = q.Row(row)[(((2 * queryHead) + 1) * HeadQuads) + word];
            y.Row(row)[(queryHead * HeadQuads) + word] = new Float4(
                output.X * Sigmoid(gate.X), output.Y * Sigmoid(gate.Y), output.Z * Sigmoid(gate.Z), output.W * Sigmoid(gate.W));
        }
        else
        {
            scratch.Partials[Part(row, slot) + head + i] = merged.Output;
            if (word == 0)
                scratch.Partials[Stats(row, slot, head)] = new Float4(merged.Max, merged.Sum, 0, 0);
        }
    }

    // A part is, per head, Hd sums and a word with their maximum and weight.
    private int Part(int row, int slot)
    {
        int slots = scratch.Most + SplitPlan.Eights(scratch.Most);
        return ((((row * pages.KvHeads) + Grid.IdxY) * slots) + slot) * groupHeads * (HeadQuads + 1);
    }

    private int Stats(int row, int slot, int head) => Part(row, slot) + (head * (HeadQuads + 1)) + HeadQuads;

    // What is left of a pair when its bf16 are taken off, as bf16.
    private static uint Rest(float low, float high, uint pair) =>
        Bf16x2.Pack(low - Interop.IntAsFloat(pair << 16), high - Interop.IntAsFloat(pair & 0xffff0000u));

    private static float MaxOfFour(float value)
    {
        value = Larger(value, WarpShuffle.Xor(value, 2));
        return Larger(value, WarpShuffle.Xor(value, 1));
    }

    private static float Larger(float a, float b) => a > b ? a : b;

    private static float Sigmoid(float x) => Float32.Reciprocal(1 + Float32.Exp2(-Log2E * x));

    /// <summary>Four dimensions of a head: the sum of weights relative to 2^max, and the values so weighted.</summary>
    private readonly struct MergedWord(float max, float sum, Float4 output)
    {
        public readonly float Max = max;
        public readonly float Sum = sum;
        public readonly Float4 Output = output;
    }
}
