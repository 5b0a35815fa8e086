using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A DeltaNet layer between its projections, for a few rows of each sequence: convolution and SiLU, l2-normed q and k, gates, the gated
/// delta rule, RMSNorm gated by z. A group computes one value head of one sequence, whose state stays in registers over the rows.
/// </summary>
/// <remarks>
/// A lane holds 32 keys of two value columns: Dk / 32 lanes, at every fourth word, share a column pair and sum over their keys by
/// shuffles. Columns are independent of each other until the norm. The groups of one key head all compute its q and k; the first of
/// them writes their rows into the ring, where a row never takes the place of one that another group still reads.
/// </remarks>
[LaunchBounds(256, MinGroups = 1)]
internal readonly struct DeltaStepKernel<TWord, TState>(
    DeltaStepOperands rows, DeltaShape shape, Matrix<TWord> state, Matrix<float> ring, DeltaStepDrafts drafts) : IGroupKernel
    where TWord : unmanaged
    where TState : struct, IDeltaStateFormat<TWord>
{
    private const int MaxRows = DeltaStep.MaxRows;
    private const int MaxHeadWords = DeltaStep.MaxHeadDim / 4;
    private const int MaxStashWords = (2 * MaxHeadWords) + 1;
    private const int BetaPlace = 0;                        // [MaxRows] each
    private const int DecayPlace = MaxRows;

    private int Parts => (int)((uint)shape.KeyHeadDim / KeyWords.Keys);

    private int ConvolvedChannels => (2 * shape.KeyHeadDim) + shape.ValueHeadDim;

    private int StashWords => ((shape.KeyHeadDim + shape.ValueHeadDim) >> 2) + 1;

    /// <summary>One group per sequence and value head.</summary>
    public KernelConfig Config => new((int)rows.StateSlot.Length * shape.ValueHeads, DeltaStep.GroupThreads(shape));

    public static void DeltaStepRows(DeltaStepKernel<TWord, TState> kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<Float4> convolved = SharedMemory.Allocate<Float4>(MaxRows * 3 * MaxHeadWords);    // [row, q | k | v], later o for v
        ArrayView<Float4> stashed = SharedMemory.Allocate<Float4>(MaxRows * MaxStashWords);         // [row, k | d | decay]
        ArrayView<Float4> outputGates = SharedMemory.Allocate<Float4>(MaxRows * MaxHeadWords);      // [row, Dv]
        ArrayView<float> gates = SharedMemory.Allocate<float>(2 * MaxRows);
        int sequence = Grid.IdxX / shape.ValueHeads;
        int head = Grid.IdxX - (sequence * shape.ValueHeads);
        int slot = rows.StateSlot[sequence];
        int first = rows.FirstRow[sequence];
        int count = XMath.Min(rows.FirstRow[sequence + 1] - first, drafts.MaxRows);
        int position = count > 0 ? rows.Positions[first] : 1;
        int replays = drafts.Kept != 0 && position > 0 ? XMath.Min(drafts.Accepted[slot], MaxRows) : 0;
        if (count <= 0 && replays <= 0)
            return;

        // Loads in the order in which they are needed: two channels a thread, the state, and everything small meanwhile.
        ConvolutionChannel channel = Read(head, slot, first, count, position, Group.IdxX);
        ConvolutionChannel next = Read(head, slot, first, count, position, Group.IdxX + Group.DimX);
        int keyWords = shape.KeyHeadDim >> 2;
        int part = Group.IdxX % Parts;
        int column = Group.IdxX / Parts * 2;
        ArrayView<TWord> columns = state.Row(slot).SubView(head * shape.ValueHeadDim * keyWords, shape.ValueHeadDim * keyWords);
        FetchedKeys<TWord> fetchedLeft = FetchedKeys<TWord>.Of(columns, (column * keyWords) + part, Parts);
        FetchedKeys<TWord> fetchedRight = FetchedKeys<TWord>.Of(columns, ((column + 1) * keyWords) + part, Parts);

        ArrayView<Float4> stash = Stash(slot, head);
        for (int i = Group.IdxX; i < replays * StashWords; i += Group.DimX)
            stashed[i] = stash[i];
        Gates(gates, outputGates, head, first, count);
        for (int c = Group.IdxX; c < ConvolvedChannels; c += Group.DimX)
        {
            Convolve(convolved.Cast<float>(), channel, head, slot, count, position, c);
            channel = next;
            next = Read(head, slot, first, count, position, c + (2 * Group.DimX));
        }

        Group.Barrier();
        Normalise(convolved, stash, count);
        Group.Barrier();

        KeyWords left = KeyWords.Of<TWord, TState>(fetchedLeft);
        KeyWords right = KeyWords.Of<TWord, TState>(fetchedRight);
        if (position == 0)
        {
            left = default;
            right = default;
        }

        ArrayView<float> stashedFloats = stashed.Cast<float>();
        for (int t = 0; t < replays; t++)
        {
            KeyWords k = KeyWords.Of(stashed, (t * StashWords) + part, Parts);
            int place = (t * StashWords * 4) + shape.KeyHeadDim;
            float decay = stashedFloats[place + shape.ValueHeadDim];
            left = Advance(left, decay, k, stashedFloats[place + column]);
            right = Advance(right, decay, k, stashedFloats[place + column + 1]);
        }

        if (drafts.Kept != 0 && (replays > 0 || position == 0))
            Store(columns, left, right, column, part);

        ArrayView<float> stashFloats = stash.Cast<float>();
        for (int t = 0; t < count; t++)
        {
            int row = (t * ConvolvedChannels) >> 2;
            float decay = gates[DecayPlace + t];
            float beta = gates[BetaPlace + t];
            KeyWords k = KeyWords.Of(convolved, row + keyWords + part, Parts);
            ArrayView<float> values = convolved.SubView(row + (2 * keyWords), shape.ValueHeadDim >> 2).Cast<float>();
            ColumnPair read = SumOverParts(new ColumnPair(KeyWords.Dot(left, k), KeyWords.Dot(right, k)));
            float d0 = Float32.Fma(-decay, read.Left, values[column]) * beta;
            float d1 = Float32.Fma(-decay, read.Right, values[column + 1]) * beta;
            KeyWords newLeft = KeyWords.Advance(left, decay, k, d0);
            KeyWords newRight = KeyWords.Advance(right, decay, k, d1);
            KeyWords q = KeyWords.Of(convolved, row + part, Parts);
            ColumnPair o = SumOverParts(new ColumnPair(KeyWords.Dot(newLeft, q), KeyWords.Dot(newRight, q)));
            left = KeyWords.Round<TWord, TState>(newLeft);
            right = KeyWords.Round<TWord, TState>(newRight);

            // Every lane of the pair has read v: the shuffles lie between.
            if (part == 0)
            {
                values[column] = o.Left;
                values[column + 1] = o.Right;
                if (drafts.Kept != 0)
                {
                    int place = (t * StashWords * 4) + shape.KeyHeadDim;
                    stashFloats[place + column] = d0;
                    stashFloats[place + column + 1] = d1;
                    if (column == 0)
                        stashFloats[place + shape.ValueHeadDim] = decay;
                }
            }
        }

        if (drafts.Kept == 0)
            Store(columns, left, right, column, part);
        Group.Barrier();
        WriteOutputs(convolved, outputGates, head, first, count);
    }

    private static KeyWords Advance(KeyWords s, float decay, KeyWords k, float d) =>
        KeyWords.Round<TWord, TState>(KeyWords.Advance(s, decay, k, d));

    private ArrayView<Float4> Stash(int slot, int head)
    {
        int words = MaxRows * StashWords;
        return drafts.Kept != 0 ? drafts.Stash.Row(slot).SubView(head * words, words) : drafts.Stash.Data;
    }

    private void Store(ArrayView<TWord> columns, KeyWords left, KeyWords right, int column, int part)
    {
        int keyWords = shape.KeyHeadDim >> 2;
        left.Store<TWord, TState>(columns, (column * keyWords) + part, Parts);
        right.Store<TWord, TState>(columns, ((column + 1) * keyWords) + part, Parts);
    }

    // Over the two or four neighbouring lanes of a column pair; every one of them gets the sums.
    private ColumnPair SumOverParts(ColumnPair pair)
    {
        int mask = Parts >> 1;
        pair = new ColumnPair(pair.Left + WarpShuffle.Xor(pair.Left, mask), pair.Right + WarpShuffle.Xor(pair.Right, mask));
        mask >>= 1;
        float left = WarpShuffle.Xor(pair.Left, mask);
        float right = WarpShuffle.Xor(pair.Right, mask);
        return mask == 0 ? pair : new ColumnPair(pair.Left + left, pair.Right + right);
    }

    // The channel of q | k | v that is the head's c-th, in the order q, k, v.
    private int ChannelOf(int head, int c)
    {
        int keyStart = head / shape.Ratio * shape.KeyHeadDim;
        if (c < shape.KeyHeadDim)
            return keyStart + c;
        c -= shape.KeyHeadDim;
        if (c < shape.KeyHeadDim)
            return shape.KeyChannels + keyStart + c;
        return (2 * shape.KeyChannels) + (head * shape.ValueHeadDim) + c - shape.KeyHeadDim;
    }

    private ConvolutionChannel Read(int head, int slot, int first, int count, int position, int c)
    {
        ConvolutionChannel channel = default;
        if (c >= ConvolvedChannels)
            return channel;
        int source = ChannelOf(head, c);
        channel.Taps = rows.Conv1d[source, 0];
        ArrayView<float> carried = ring.Row(slot);
        if (position > 2)
            channel.Before3 = carried[(RingRow(position - 3) * shape.Channels) + source];
        if (position > 1)
            channel.Before2 = carried[(RingRow(position - 2) * shape.Channels) + source];
        if (position > 0 && count > 0)
            channel.Before1 = carried[(RingRow(position - 1) * shape.Channels) + source];
        if (count > 0)
            channel.Row0 = rows.Mixed[first, source];
        if (count > 1)
            channel.Row1 = rows.Mixed[first + 1, source];
        if (count > 2)
            channel.Row2 = rows.Mixed[first + 2, source];
        if (count > 3)
            channel.Row3 = rows.Mixed[first + 3, source];
        if (count > 4)
            channel.Row4 = rows.Mixed[first + 4, source];
        if (count > 5)
            channel.Row5 = rows.Mixed[first + 5, source];
        if (count > 6)
            channel.Row6 = rows.Mixed[first + 6, source];
        if (count > 7)
            channel.Row7 = rows.Mixed[first + 7, source];
        return channel;
    }

    private int RingRow(int position) => position % drafts.RingRows;

    private void Convolve(ArrayView<float> convolved, ConvolutionChannel x, int head, int slot, int count, int position, int c)
    {
        int source = ChannelOf(head, c);
        bool carries = c >= 2 * shape.KeyHeadDim || head % shape.Ratio == 0;
        ArrayView<float> carried = ring.Row(slot);
        for (int t = 0; t < count; t++)
        {
            float sum = (x.Taps.X * x.Before3) + (x.Taps.Y * x.Before2) + (x.Taps.Z * x.Before1) + (x.Taps.W * x.Row0);
            convolved[(t * ConvolvedChannels) + c] = sum / (1 + XMath.Exp(-sum));
            if (carries)
                carried[(RingRow(position + t) * shape.Channels) + source] = x.Row0;
            x = x.Shifted();
        }
    }

    // β, e^g, and what the norm's output is multiplied with: weight · silu(z).
    private void Gates(ArrayView<float> gates, ArrayView<Float4> outputGates, int head, int first, int count)
    {
        int valueWords = shape.ValueHeadDim >> 2;
        for (int i = Group.IdxX; i < count * valueWords; i += Group.DimX)
        {
            int word = i % valueWords;
            Float4 z = rows.Z[first + (i / valueWords), (head * valueWords) + word];
            Float4 weight = rows.Norm[word];
            outputGates[i] = new Float4(weight.X * Silu(z.X), weight.Y * Silu(z.Y), weight.Z * Silu(z.Z), weight.W * Silu(z.W));
        }

        for (int t = Group.IdxX; t < count; t += Group.DimX)
        {
            gates[BetaPlace + t] = DeltaGate.Beta(rows.B[first + t, head]);
            gates[DecayPlace + t] = XMath.Exp(DeltaGate.LogDecay(rows.A[first + t, head], rows.ALog[head], rows.DtBias[head]));
        }
    }

    private static float Silu(float x) => x / (1 + XMath.Exp(-x));

    // A warp a vector: q and k of each row. All warps make the same number of rounds.
    private void Normalise(ArrayView<Float4> convolved, ArrayView<Float4> stash, int count)
    {
        int keyWords = shape.KeyHeadDim >> 2;
        int lane = Group.IdxX & 31;
        for (int start = 0; start < 2 * count; start += Group.DimX >> 5)
        {
            int vector = start + (Group.IdxX >> 5);
            bool takesPart = vector < 2 * count && lane < keyWords;
            int row = vector >> 1;
            int isKey = vector & 1;
            int place = ((row * ConvolvedChannels) >> 2) + (isKey * keyWords) + lane;
            Float4 word = takesPart ? convolved[place] : default;
            float scale = 1 / XMath.Sqrt(WarpReduce.Sum(Float4.Dot(word, word)) + 1e-6f);
            if (isKey == 0)
                scale /= XMath.Sqrt(shape.KeyHeadDim);
            if (takesPart)
            {
                word *= scale;
                convolved[place] = word;
                if (isKey != 0 && drafts.Kept != 0)
                    stash[(row * StashWords) + lane] = word;
            }
        }
    }

    // A warp a row.
    private void WriteOutputs(ArrayView<Float4> convolved, ArrayView<Float4> outputGates, int head, int first, int count)
    {
        int valueWords = shape.ValueHeadDim >> 2;
        int lane = Group.IdxX & 31;
        for (int start = 0; start < count; start += Group.DimX >> 5)
        {
            int row = start + (Group.IdxX >> 5);
            bool takesPart = row < count && lane < valueWords;
            Float4 o = takesPart ? convolved[((row * ConvolvedChannels) >> 2) + ((2 * shape.KeyHeadDim) >> 2) + lane] : default;
            float scale = 1 / XMath.Sqrt((WarpReduce.Sum(Float4.Dot(o, o)) / shape.ValueHeadDim) + rows.Eps);
            if (takesPart)
            {
                Float4 gate = outputGates[(row * valueWords) + lane];
                rows.Y[first + row, (head * valueWords) + lane] =
                    new Float4(o.X * scale * gate.X, o.Y * scale * gate.Y, o.Z * scale * gate.Z, o.W * scale * gate.W);
            }
        }
    }

    private readonly struct ColumnPair(float left, float right)
    {
        public readonly float Left = left;
        public readonly float Right = right;
    }

    /// <summary>A channel's taps, the three rows before the step and its rows, the next one first.</summary>
    private struct ConvolutionChannel
    {
        public Float4 Taps;
        public float Before3;
        public float Before2;
        public float Before1;
        public float Row0;
        public float Row1;
        public float Row2;
        public float Row3;
        public float Row4;
        public float Row5;
        public float Row6;
        public float Row7;

        public readonly ConvolutionChannel Shifted() => new()
        {
            Taps = Taps,
            Before3 = Before2,
            Before2 = Before1,
            Before1 = Row0,
            Row0 = Row1,
            Row1 = Row2,
            Row2 = Row3,
            Row3 = Row4,
            Row4 = Row5,
            Row5 = Row6,
            Row6 = Row7,
        };
    }
}
