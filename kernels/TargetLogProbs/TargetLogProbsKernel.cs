using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>Log softmax of each row of logits at its target. Items: rows. logits: [R, V] float; targets, logProbs: [R].</summary>
internal readonly partial struct TargetLogProbsKernel(
    Matrix<float> logits, int vocabularySize, ArrayView<int> targets, ArrayView<float> logProbs) : IPortableKernel
{
    public int Items => logits.Rows;

    public static void TargetLogProbs(Index1D thread, int threads, TargetLogProbsKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int row)
    {
        ArrayView<float> values = logits.Row(row);
        float max = float.NegativeInfinity;
        bool finite = true;
        for (int id = 0; id < vocabularySize; id++)
        {
            max = values[id] > max ? values[id] : max;
            finite &= RowScores.IsFinite(values[id]);
        }

        double sum = finite ? 0 : double.NaN;
        for (int id = 0; id < vocabularySize; id++)
            sum += XMath.Exp(values[id] - max);
        logProbs[row] = Kernels.TargetLogProbs.Of(values[targets[row]], max, (float)sum);
    }
}
