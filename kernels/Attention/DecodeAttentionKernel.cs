using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// One split of one row's keys for all query heads of a kv head: its keys and values are read once. q: [T, H · 2 · Hd] and y: [T, H · Hd]
/// float; pages: bf16 in words of eight; rowSlot, positions: [T]; pageTable: [slots, blocks]; partials: see <see cref="SplitLayout"/>;
/// tickets: [T · Hkv], zero between launches.
/// </summary>
/// <remarks>
/// A group of eight warps goes through 128 tokens at a time. Scores: each warp's 16 keys are the A operand of m16n8k16, straight from
/// the page; a lane takes eight dimensions in a row, in which order the queries' fragments follow, split into two bf16 each so that
/// nothing of them is lost. Softmax: a warp a head. Values: a lane's eight dimensions of its warp's tokens, in f32. The group that comes
/// last for a row and kv head merges the splits in their order.
/// </remarks>
[LaunchBounds(GroupSize)]
[Instantiation(typeof(Head64), typeof(DecodeAttentionPlaces))]
[Instantiation(typeof(Head128), typeof(DecodeAttentionPlaces))]
[Instantiation(typeof(Head256), typeof(DecodeAttentionPlaces))]
internal readonly struct DecodeAttentionKernel<THead, TPlaces>(
    Matrix<float> q,
    KvPages<UInt4> pages,
    ArrayView<int> rowSlot,
    ArrayView<int> positions,
    Matrix<int> pageTable,
    int heads,
    ArrayView<float> partials,
    ArrayView<int> tickets,
    Matrix<float> y) : IGroupKernel
    where THead : struct, IHeadSize
    where TPlaces : struct, IDecodeAttentionPlaces
{
    public const int GroupSize = 32 * Warps;

    private const int Warps = 8;
    private const int WarpTokens = 16;
    private const int TileTokens = Warps * WarpTokens;
    private const int Heads = HeadSums.MaxHeads;
    private const int ScoreStride = TileTokens + 4;             // of a head, so that heads begin in different banks
    private const float Log2E = 1.4426950408889634f;

    private static int TokenWords => THead.Dim / 8;

    public static void DecodeAttention(DecodeAttentionKernel<THead, TPlaces> kernel) => kernel.Execute();

    public void Execute()
    {
        int split = Grid.IdxX;
        int kvHead = Grid.IdxY;
        int row = Grid.IdxZ;
        int length = positions[row] + 1;
        int splits = SplitLayout.Count(length);
        if (split >= splits)
            return;

        ArrayView<UInt4> queries = SharedMemory.Allocate<UInt4>(THead.Dim / 32 * 2 * 32);
        ArrayView<float> scores = SharedMemory.Allocate<float>(Heads * ScoreStride);
        ArrayView<Float4> weights = SharedMemory.Allocate<Float4>(TileTokens * 2);      // [token] of eight heads
        ArrayView<Float4> shrinks = SharedMemory.Allocate<Float4>(2);                   // of eight heads
        ArrayView<float> softmax = SharedMemory.Allocate<float>(2 * Heads);             // maxima, then sums
        ArrayView<Float4> outputs = SharedMemory.Allocate<Float4>(Heads * THead.Dim / 4);
        int headsPerKv = heads / pages.KvHeads;
        int first = split * SplitLayout.Tokens(length);
        int end = TPlaces.End(XMath.Min(first + SplitLayout.Tokens(length), length));

        StageQueries(queries, row, kvHead, headsPerKv);
        if (Group.IdxX < 2 * Heads)
            softmax[Group.IdxX] = Group.IdxX < Heads ? float.NegativeInfinity : 0;
        Group.Barrier();

        HeadSums sums = default;
        ArrayView<int> table = pageTable.Row(rowSlot[row]);
        for (int tile = first; tile < end; tile += TileTokens)
        {
            int token = tile + ((Group.IdxX >> 5) * WarpTokens);
            int page = table[TPlaces.Block(XMath.Min(token, end - 1))];
            Score(pages.KeyBlock(page, kvHead), queries, scores, token, end);
            Group.Barrier();
            Weigh(scores, weights.Cast<float>(), shrinks.Cast<float>(), softmax);
            Group.Barrier();
            sums = HeadSums.Scaled(sums, shrinks[0], shrinks[1]);
            sums = AddValues(sums, pages.ValueBlock(page, kvHead), weights, token, end);
        }

        StorePartial(sums, outputs, softmax, row, kvHead, headsPerKv, split);
        ArrayView<int> flag = SharedMemory.Allocate<int>(1);
        if (IsLast(flag, (row * pages.KvHeads) + kvHead, splits))
            Merge(scores, row, kvHead, headsPerKv, splits);
    }

    // B fragments: lane 4 · head + t holds dimensions 8t … 8t + 7 of every 32, as bf16 and as what that leaves.
    private void StageQueries(ArrayView<UInt4> queries, int row, int kvHead, int headsPerKv)
    {
        float scale = Log2E / XMath.Sqrt((float)THead.Dim);
        ArrayView<float> values = q.Row(row);
        for (int i = Group.IdxX; i < THead.Dim; i += GroupSize)
        {
            int lane = i & 31;
            int head = lane >> 2;
            if (head < headsPerKv)
            {
                int start = (((kvHead * headsPerKv) + head) * 2 * THead.Dim) + (i & ~31) + (8 * (lane & 3));
                Put(queries, i, values, start, scale);
            }
            else
            {
                queries[Place(i, 0)] = default;
                queries[Place(i, 1)] = default;
            }
        }
    }

    private static int Place(int i, int part) => (((i >> 5) * 2) + part) * 32 + (i & 31);

    private static void Put(ArrayView<UInt4> queries, int i, ArrayView<float> values, int start, float scale)
    {
        float x0 = values[start] * scale;
        float x1 = values[start + 1] * scale;
        float x2 = values[start + 2] * scale;
        float x3 = values[start + 3] * scale;
        float x4 = values[start + 4] * scale;
        float x5 = values[start + 5] * scale;
        float x6 = values[start + 6] * scale;
        float x7 = values[start + 7] * scale;
        var high = new UInt4(Bf16x2.Pack(x0, x1), Bf16x2.Pack(x2, x3), Bf16x2.Pack(x4, x5), Bf16x2.Pack(x6, x7));
        queries[Place(i, 0)] = high;
        queries[Place(i, 1)] = new UInt4(
            Rest(high.X, x0, x1), Rest(high.Y, x2, x3), Rest(high.Z, x4, x5), Rest(high.W, x6, x7));
    }

    private static uint Rest(uint pair, float low, float high) =>
        Bf16x2.Pack(low - Interop.IntAsFloat(pair << 16), high - Interop.IntAsFloat(pair & 0xffff0000u));

    // Sixteen keys of a warp against the queries; −∞ past the end.
    private static void Score(ArrayView<UInt4> block, ArrayView<UInt4> queries, ArrayView<float> scores, int token, int end)
    {
        int lane = Group.IdxX & 31;
        int g = lane >> 2;
        int above = (((token % KvCache.PageTokens) + g) * TokenWords) + (lane & 3);
        int below = above + (8 * TokenWords);
        bool hasAbove = token + g < end;
        bool hasBelow = token + g + 8 < end;
        Float4 sums = default;
        for (int chunk = 0; chunk < THead.Dim / 32; chunk++)
        {
            UInt4 a = Load(block, above + (4 * chunk), hasAbove);
            UInt4 b = Load(block, below + (4 * chunk), hasBelow);
            sums = Multiply(sums, a, b, queries[(chunk * 64) + lane], queries[(chunk * 64) + 32 + lane]);
        }

        int place = ((Group.IdxX >> 5) * WarpTokens) + g + (2 * (lane & 3) * ScoreStride);
        scores[place] = hasAbove ? sums.X : float.NegativeInfinity;
        scores[place + ScoreStride] = hasAbove ? sums.Y : float.NegativeInfinity;
        scores[place + 8] = hasBelow ? sums.Z : float.NegativeInfinity;
        scores[place + ScoreStride + 8] = hasBelow ? sums.W : float.NegativeInfinity;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 Multiply(Float4 sums, UInt4 a, UInt4 b, UInt4 high, UInt4 rest)
    {
        var left = new UInt4(a.X, b.X, a.Y, b.Y);
        var right = new UInt4(a.Z, b.Z, a.W, b.W);
        sums = Mma.Bf16(left, new UInt2(rest.X, rest.Y), sums);
        sums = Mma.Bf16(right, new UInt2(rest.Z, rest.W), sums);
        sums = Mma.Bf16(left, new UInt2(high.X, high.Y), sums);
        return Mma.Bf16(right, new UInt2(high.Z, high.W), sums);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static UInt4 Load(ArrayView<UInt4> block, int word, bool present)
    {
        UInt4 loaded = default;
        if (present)
            loaded = GlobalLoad.Streaming(ref block[word]);
        return loaded;
    }

    // A warp turns its head's scores of the tile into weights 2^(score − maximum), and notes by how much earlier sums shrink.
    private static void Weigh(ArrayView<float> scores, ArrayView<float> weights, ArrayView<float> shrinks, ArrayView<float> softmax)
    {
        int lane = Group.IdxX & 31;
        int head = Group.IdxX >> 5;
        int place = (head * ScoreStride) + lane;
        float s0 = scores[place];
        float s1 = scores[place + 32];
        float s2 = scores[place + 64];
        float s3 = scores[place + 96];
        float before = softmax[head];
        float sumBefore = softmax[Heads + head];
        float max = WarpReduce.Max(XMath.Max(XMath.Max(s0, s1), XMath.Max(s2, s3)));
        max = XMath.Max(max, before);
        float w0 = Float32.Exp2(s0 - max);
        float w1 = Float32.Exp2(s1 - max);
        float w2 = Float32.Exp2(s2 - max);
        float w3 = Float32.Exp2(s3 - max);
        weights[(lane * Heads) + head] = w0;
        weights[((lane + 32) * Heads) + head] = w1;
        weights[((lane + 64) * Heads) + head] = w2;
        weights[((lane + 96) * Heads) + head] = w3;
        float sum = WarpReduce.Sum((w0 + w1) + (w2 + w3));
        if (lane == 0)
        {
            float shrink = Float32.Exp2(before - max);
            shrinks[head] = shrink;
            softmax[head] = max;
            softmax[Heads + head] = Float32.Fma(sumBefore, shrink, sum);
        }
    }

    // A warp's sixteen values, as many at once as its lanes hold; zeros past the end, where pages hold anything.
    private static HeadSums AddValues(HeadSums sums, ArrayView<UInt4> block, ArrayView<Float4> weights, int token, int end)
    {
        int lane = Group.IdxX & 31;
        int atOnce = 32 / TokenWords;
        int own = lane / TokenWords;
        int firstWord = (((token % KvCache.PageTokens) + own) * TokenWords) + (lane % TokenWords);
        int weight = 2 * (((Group.IdxX >> 5) * WarpTokens) + own);
        for (int i = 0; i < WarpTokens; i += 4 * atOnce)
        {
            UInt4 v0 = Load(block, firstWord + (i * TokenWords), token + own + i < end);
            UInt4 v1 = Load(block, firstWord + ((i + atOnce) * TokenWords), token + own + i + atOnce < end);
            UInt4 v2 = Load(block, firstWord + ((i + (2 * atOnce)) * TokenWords), token + own + i + (2 * atOnce) < end);
            UInt4 v3 = Load(block, firstWord + ((i + (3 * atOnce)) * TokenWords), token + own + i + (3 * atOnce) < end);
            int at = weight + (2 * i);
            sums = HeadSums.Add(sums, v0, weights[at], weights[at + 1]);
            at += 2 * atOnce;
            sums = HeadSums.Add(sums, v1, weights[at], weights[at + 1]);
            at += 2 * atOnce;
            sums = HeadSums.Add(sums, v2, weights[at], weights[at + 1]);
            at += 2 * atOnce;
            sums = HeadSums.Add(sums, v3, weights[at], weights[at + 1]);
        }

        return sums;
    }

    // The sums of warps, and of the tokens that a warp takes at once, in their order, to the split's place.
    private void StorePartial(
        HeadSums sums, ArrayView<Float4> outputs, ArrayView<float> softmax, int row, int kvHead, int headsPerKv, int split)
    {
        int lane = Group.IdxX & 31;
        int atOnce = 32 / TokenWords;
        int turn = ((Group.IdxX >> 5) * atOnce) + (lane / TokenWords);
        for (int i = 0; i < Warps * atOnce; i++)
        {
            if (i == turn)
                sums.AddTo(outputs, 2 * (lane % TokenWords), THead.Dim / 4, i == 0);
            Group.Barrier();
        }

        ArrayView<float> values = outputs.Cast<float>();
        for (int i = Group.IdxX; i < headsPerKv * THead.Dim; i += GroupSize)
            partials[Start(row, kvHead, headsPerKv, i / THead.Dim, split) + (i % THead.Dim)] = values[i];
        if (Group.IdxX < headsPerKv)
        {
            long start = Start(row, kvHead, headsPerKv, Group.IdxX, split);
            partials[start + THead.Dim] = softmax[Group.IdxX];
            partials[start + THead.Dim + 1] = softmax[Heads + Group.IdxX];
        }
    }

    private long Start(int row, int kvHead, int headsPerKv, int head, int split) =>
        SplitLayout.Start(row, (kvHead * headsPerKv) + head, heads, split, THead.Dim);

    private bool IsLast(ArrayView<int> flag, int ticket, int splits)
    {
        DeviceScope.Fence();
        Group.Barrier();
        if (Group.IdxX == 0)
        {
            int arrived = DeviceScope.FetchAdd(ref tickets[ticket], 1);
            if (arrived == splits - 1)
                tickets[ticket] = 0;                    // as the next launch needs it
            flag[0] = arrived;
        }

        Group.Barrier();
        DeviceScope.Fence();
        return flag[0] == splits - 1;
    }

    // factors: shared, the scores' place: [head][split], then as much again for the sums of weights.
    private void Merge(ArrayView<float> factors, int row, int kvHead, int headsPerKv, int splits)
    {
        const int Sums = Heads * SplitLayout.MaxSplits;
        for (int i = Group.IdxX; i < headsPerKv * splits; i += GroupSize)
        {
            int head = i / splits;
            int split = i % splits;
            long start = Start(row, kvHead, headsPerKv, head, 0) + THead.Dim;
            float max = float.NegativeInfinity;
            for (int other = 0; other < splits; other++)
                max = XMath.Max(max, partials[start + (other * SplitLayout.Columns(THead.Dim))]);
            long own = start + (split * SplitLayout.Columns(THead.Dim));
            float factor = Float32.Exp2(partials[own] - max);
            factors[(head * SplitLayout.MaxSplits) + split] = factor;
            factors[Sums + (head * SplitLayout.MaxSplits) + split] = factor * partials[own + 1];
        }

        Group.Barrier();
        for (int i = Group.IdxX; i < headsPerKv * THead.Dim; i += GroupSize)
        {
            int head = i / THead.Dim;
            int dimension = i % THead.Dim;
            long start = Start(row, kvHead, headsPerKv, head, 0) + dimension;
            float output = 0;
            float sum = 0;
            for (int split = 0; split < splits; split++)
            {
                int factor = (head * SplitLayout.MaxSplits) + split;
                output = Float32.Fma(factors[factor], partials[start + (split * SplitLayout.Columns(THead.Dim))], output);
                sum += factors[Sums + factor];
            }

            int place = (kvHead * headsPerKv) + head;
            float gate = q[row, (((2 * place) + 1) * THead.Dim) + dimension];
            y[row, (place * THead.Dim) + dimension] = output / sum / (1 + XMath.Exp(-gate));
        }
    }
}
