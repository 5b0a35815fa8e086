using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Log softmax of each row of logits at its target, the row read once: each of a group's 256 threads keeps the greatest logit that it has
/// met and the sum relative to it. logits: [R, V] float; targets, logProbs: [R].
/// </summary>
[LaunchBounds(GroupScan.Threads)]
internal readonly struct TargetLogProbsRowKernel(
    Matrix<float> logits, int vocabularySize, ArrayView<int> targets, ArrayView<float> logProbs) : IGroupKernel
{
    private const int Warps = GroupScan.Threads / 32;

    public static void TargetLogProbsRow(TargetLogProbsRowKernel kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(Warps);
        int row = Grid.IdxX;
        RowScores own = RowScores.OfModel(logits.Row(row));
        float max = float.NegativeInfinity;
        float sum = 0;
        for (int id = Group.IdxX; id < vocabularySize; id += VocabularySections.Length)
        {
            ScoreOctet s = ScoreOctet.Load(own, id, vocabularySize);
            float larger = Larger(s.S3, Larger(s.S2, Larger(s.S1, Larger(s.S0, max))));
            larger = Larger(s.S7, Larger(s.S6, Larger(s.S5, Larger(s.S4, larger))));
            float octet = ((Mass(s.S0, larger) + Mass(s.S1, larger)) + (Mass(s.S2, larger) + Mass(s.S3, larger)))
                + ((Mass(s.S4, larger) + Mass(s.S5, larger)) + (Mass(s.S6, larger) + Mass(s.S7, larger)));
            sum = (sum * Factor(max, larger)) + (s.HoldsNonFinite ? float.NaN : octet);
            max = larger;
        }

        float rowMax = MaxOfGroup(max, shared);
        Group.Barrier();                                // everybody has read the maxima
        float rowSum = RowChunk.SumOfGroup(sum * Factor(max, rowMax), shared);
        if (Group.IdxX == 0)
            logProbs[row] = TargetLogProbs.Of(logits[row, targets[row]], rowMax, rowSum);
    }

    private static float MaxOfGroup(float value, ArrayView<float> shared)
    {
        value = WarpReduce.Max(value);
        if ((Group.IdxX & 31) == 0)
            shared[Group.IdxX >> 5] = value;
        Group.Barrier();
        float max = shared[0];
        for (int warp = 1; warp < Warps; warp++)
            max = Larger(shared[warp], max);
        return max;
    }

    // NaN never counts: it is above nothing.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Larger(float logit, float max) => logit > max ? logit : max;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Mass(float logit, float max) => logit > float.NegativeInfinity ? XMath.Exp(logit - max) : 0;

    // What a sum relative to one maximum is multiplied with for another that is not below.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Factor(float from, float to) => from < to ? XMath.Exp(from - to) : 1;
}
