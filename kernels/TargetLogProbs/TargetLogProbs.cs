using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// logProbs[i] = log softmax(logits[i])[targets[i]], natural logarithms: how likely the model holds the token that did come next. As in
/// <see cref="LogProbs"/> the softmax is over the tokenizer's ids, without the columns that pad the head. A row with a logit that is NaN or
/// infinite has NaN.
/// </summary>
internal static class TargetLogProbs
{
    /// <summary>logits: [R, V] float; vocabularySize: the tokenizer's, ≤ V; targets: [R], ids below it, which the caller has checked; logProbs: [R].</summary>
    public static Launch Bind(
        KernelLoader loader, Matrix<float> logits, int vocabularySize, ArrayView<int> targets, ArrayView<float> logProbs)
    {
        const string Op = "target_log_probs";
        Require.That(Op, vocabularySize >= 1 && vocabularySize <= logits.Columns,
            $"vocabulary size is {vocabularySize}, columns of logits {logits.Columns}");
        Require.Equal(Op, "length of targets", targets.Length, "rows of logits", logits.Rows);
        Require.Equal(Op, "length of log-probabilities", logProbs.Length, "rows of logits", logits.Rows);
        return loader.RunsWarpKernels
            ? loader.Bind(TargetLogProbsRowKernel.TargetLogProbsRow, new KernelConfig(logits.Rows, GroupScan.Threads),
                new TargetLogProbsRowKernel(logits, vocabularySize, targets, logProbs))
            : loader.Bind(TargetLogProbsKernel.TargetLogProbs, new TargetLogProbsKernel(logits, vocabularySize, targets, logProbs));
    }

    /// <summary>Of one logit, from the row's greatest and Σ exp(logit − greatest), which is NaN where the row holds a non-finite logit.</summary>
    public static float Of(float logit, float max, float sum) => logit - max - XMath.Log(sum);
}
