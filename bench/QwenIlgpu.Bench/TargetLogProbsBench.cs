using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class TargetLogProbsBench
{
    public static KernelBenchmark Block { get; } = new("target_log_probs", "a block: [64, 248320]", device =>
    {
        const int Rows = 64;
        const int Columns = 248_320;
        const int Vocabulary = 248_077;
        float[] logits = Seeded.Floats(1, Rows * Columns, 12);
        int[] targets = [.. Enumerable.Range(0, Rows).Select(r => r * 3877)];
        ArrayView<float> logProbs = device.Poisoned<float>(Rows);
        return new PreparedKernel(
            TargetLogProbs.Bind(device.Loader, device.Upload(logits, Rows, Columns), Vocabulary, device.Upload(targets), logProbs),
            Bytes: (long)Rows * Vocabulary * sizeof(float),
            Flops: 0,
            () => device.Download(logProbs).Select((actual, row) => Math.Abs(
                actual - SamplingReference.LogProbs(logits[(row * Columns)..((row * Columns) + Vocabulary)])[targets[row]])).Max(),
            Tolerance: 1e-5);
    });
}
