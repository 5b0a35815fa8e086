using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// What becomes of the sums that the four warps of a group have of their split: of the warps' parts the split's, of eight splits' one, of a
/// row's eights its output, turned back where values are, times the gate. q: [T, H · 2 · Hd], y: [T, H · Hd], float in words of four.
/// </summary>
internal readonly struct SplitMerge<THead, TOutput>(Matrix<Float4> q, int kvHeads, int groupHeads, SplitScratch scratch, Matrix<Float4> y)
    where THead : struct, IHeadSlices
    where TOutput : struct, ISplitOutput
{
    private const float Log2E = 1.44269504f;

    private static int HeadQuads => THead.Slices * DecodeGroup.SliceQuads;

    private static int HeadEights => HeadQuads / 2;

    /// <summary>
    /// The last of eight splits merges these, the last of a row's eights merges those. A row of one split or one eight ends there. outputs:
    /// shared, [warp, 8, Hd], where <typeparamref name="TOutput"/> has it; stats: shared, [warp, 8], maximum and weight; flag: shared, one;
    /// turning: shared, [8, Hd], for values that are turned back.
    /// </summary>
    public void Run(
        ArrayView<Float4> outputs, ArrayView<Float4> stats, ArrayView<int> flag, ArrayView<Float4> turning, int row, int splits)
    {
        int split = Grid.IdxZ;
        int eight = (int)((uint)split / SplitPlan.Eight);
        int eights = SplitPlan.Eights(splits);
        int firstTicket = ((row * kvHeads) + Grid.IdxY) * (1 + SplitPlan.Eight);
        MergeWarps(outputs, stats, turning, row, split, splits == 1);
        if (splits > 1 && LastGroup.Is(scratch.Tickets, firstTicket + 1 + eight, SplitPlan.SplitsOf(eight, splits), flag))
        {
            MergeParts(turning, row, eight * SplitPlan.Eight, SplitPlan.SplitsOf(eight, splits), scratch.Most + eight, eights == 1);
            if (eights > 1 && LastGroup.Is(scratch.Tickets, firstTicket, eights, flag))
                MergeParts(turning, row, scratch.Most, eights, scratch.Most + eight, isWhole: true);
        }
    }

    private void MergeWarps(
        ArrayView<Float4> outputs, ArrayView<Float4> stats, ArrayView<Float4> turning, int row, int slot, bool isWhole)
    {
        for (int i = Group.IdxX; i < groupHeads * HeadQuads; i += DecodeGroup.Size)
        {
            int head = (int)((uint)i / (uint)HeadQuads);
            int place = TOutput.Place(i, head, i - (head * HeadQuads));
            float max = DecodeWeights.Lowest;
            for (int warp = 0; warp < DecodeGroup.Warps; warp++)
                max = DecodeWeights.Larger(max, stats[(warp * DecodeGroup.MostHeads) + head].X);
            float sum = 0;
            var output = new Float4(0, 0, 0, 0);
            for (int warp = 0; warp < DecodeGroup.Warps; warp++)
            {
                Float4 part = stats[(warp * DecodeGroup.MostHeads) + head];
                float weight = Float32.Exp2(part.X - max);
                sum = Float32.Fma(part.Y, weight, sum);
                output = Float32.Fma(outputs[(warp * DecodeGroup.MostHeads * HeadQuads) + place], weight, output);
            }

            Store(turning, row, slot, i, new MergedWord(max, sum, output), isWhole);
        }

        if (TOutput.IsTurned && isWhole)
            TurnBack(turning, row);
    }

    // Parts first … first + count − 1. Of a slice each thread has one word; all are loaded before any is stored.
    private void MergeParts(ArrayView<Float4> turning, int row, int first, int count, int slot, bool isWhole)
    {
        MergedWord w0 = MergedPart(row, first, count, 0);
        MergedWord w1 = THead.Slices > 1 ? MergedPart(row, first, count, 1) : default;
        MergedWord w2 = THead.Slices > 2 ? MergedPart(row, first, count, 2) : default;
        MergedWord w3 = THead.Slices > 2 ? MergedPart(row, first, count, 3) : default;
        Store(turning, row, slot, Group.IdxX, w0, isWhole);
        if (THead.Slices > 1)
            Store(turning, row, slot, DecodeGroup.Size + Group.IdxX, w1, isWhole);
        if (THead.Slices > 2)
        {
            Store(turning, row, slot, (2 * DecodeGroup.Size) + Group.IdxX, w2, isWhole);
            Store(turning, row, slot, (3 * DecodeGroup.Size) + Group.IdxX, w3, isWhole);
        }

        if (TOutput.IsTurned && isWhole)
            TurnBack(turning, row);
    }

    // In the order of the parts; all loads are under way at once, those past the last part once more with weight 0.
    private MergedWord MergedPart(int row, int first, int count, int turn)
    {
        int i = XMath.Min((turn * DecodeGroup.Size) + Group.IdxX, (groupHeads * HeadQuads) - 1);
        int head = (int)((uint)i / (uint)HeadQuads);
        float max = DecodeWeights.Lowest;
        for (int n = 0; n < SplitPlan.Eight; n++)
            max = DecodeWeights.Larger(max, scratch.Partials[Stats(row, first + XMath.Min(n, count - 1), head)].X);
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

    // Word i of the heads' dimensions, where there is one: finished into y, or for the turn before that, or as a part that is merged later.
    private void Store(ArrayView<Float4> turning, int row, int slot, int i, MergedWord merged, bool isWhole)
    {
        if (i >= groupHeads * HeadQuads)
            return;
        int head = (int)((uint)i / (uint)HeadQuads);
        int word = i - (head * HeadQuads);
        if (isWhole)
        {
            Float4 output = merged.Output * Float32.Reciprocal(merged.Sum);
            if (TOutput.IsTurned)
                turning[PlaceToTurn(i)] = output;
            else
                Gate(row, head, word, output);
        }
        else
        {
            scratch.Partials[Part(row, slot) + head + i] = merged.Output;
            if (word == 0)
                scratch.Partials[Stats(row, slot, head)] = new Float4(merged.Max, merged.Sum, 0, 0);
        }
    }

    // Eight dimensions a lane, and whole warps: lanes without a head turn the last one's once more.
    private void TurnBack(ArrayView<Float4> turning, int row)
    {
        Group.Barrier();
        for (int i = Group.IdxX; i < (((groupHeads * HeadEights) + 31) & ~31); i += DecodeGroup.Size)
        {
            int head = (int)((uint)i / (uint)HeadEights);
            int eight = i - (head * HeadEights);
            int word = 2 * ((XMath.Min(head, groupHeads - 1) * HeadEights) + eight);
            Float8 output = Hadamard.OfWarp(
                new Float8(turning[PlaceToTurn(word)], turning[PlaceToTurn(word + 1)]), THead.Slices * DecodeGroup.SliceDims);
            if (head < groupHeads)
            {
                Gate(row, head, 2 * eight, output.Low);
                Gate(row, head, (2 * eight) + 1, output.High);
            }
        }
    }

    // The first and the second eight words of sixteen change places with their neighbours by turns: lanes that read every other word do not
    // meet in one bank.
    private static int PlaceToTurn(int i) => i ^ ((i >> 3) & 1);

    private void Gate(int row, int head, int word, Float4 output)
    {
        int queryHead = (Grid.IdxY * groupHeads) + head;
        Float4 gate = q.Row(row)[(((2 * queryHead) + 1) * HeadQuads) + word];
        y.Row(row)[(queryHead * HeadQuads) + word] = new Float4(
            output.X * Sigmoid(gate.X), output.Y * Sigmoid(gate.Y), output.Z * Sigmoid(gate.Z), output.W * Sigmoid(gate.W));
    }

    // A part is, per head, Hd sums and a word with their maximum and weight.
    private int Part(int row, int slot)
    {
        int slots = scratch.Most + SplitPlan.Eights(scratch.Most);
        return ((((row * kvHeads) + Grid.IdxY) * slots) + slot) * groupHeads * (HeadQuads + 1);
    }

    private int Stats(int row, int slot, int head) => Part(row, slot) + (head * (HeadQuads + 1)) + HeadQuads;

    private static float Sigmoid(float x) => Float32.Reciprocal(1 + Float32.Exp2(-Log2E * x));

    /// <summary>Four dimensions of a head: the sum of weights relative to 2^max, and the values so weighted.</summary>
    private readonly struct MergedWord(float max, float sum, Float4 output)
    {
        public readonly float Max = max;
        public readonly float Sum = sum;
        public readonly Float4 Output = output;
    }
}

/// <summary>The group of a split: a kv head's, with up to eight query heads.</summary>
internal static class DecodeGroup
{
    /// <summary>Threads.</summary>
    public const int Size = 32 * Warps;

    public const int Warps = 4;

    /// <summary>Query heads of a kv head, at most.</summary>
    public const int MostHeads = 8;

    /// <summary>Tokens of a page that one warp takes.</summary>
    public const int WarpKeys = KvCache.PageTokens / Warps;

    /// <summary>Dimensions of a slice of a head.</summary>
    public const int SliceDims = 64;

    /// <summary>Words of four floats of a slice.</summary>
    public const int SliceQuads = SliceDims / 4;

    /// <summary>Slices of the largest head.</summary>
    public const int MostSlices = 4;
}
