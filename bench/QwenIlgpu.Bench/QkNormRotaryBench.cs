using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class QkNormRotaryBench
{
    public static KernelBenchmark Prefill { get; } = new("qk_norm_rotary", "q [512, 24·2·256], k [512, 4·256]", device =>
    {
        const int Rows = 512;
        const int Heads = 24;
        const int KvHeads = 4;
        const int HeadDim = 256;
        const int RotaryDim = 64;
        const double Theta = 1e7;
        const float Eps = 1e-6f;
        float[] q = Seeded.Floats(1, (long)Rows * Heads * 2 * HeadDim);
        float[] k = Seeded.Floats(2, (long)Rows * KvHeads * HeadDim);
        float[] qNorm = Seeded.Floats(3, HeadDim);
        float[] kNorm = Seeded.Floats(4, HeadDim);
        int[] positions = [.. Enumerable.Range(1024, Rows)];
        Matrix<float> qOnDevice = device.Upload(q, Rows, Heads * 2 * HeadDim);
        Matrix<float> kOnDevice = device.Upload(k, Rows, KvHeads * HeadDim);
        RotaryView rotary = RotaryTable.Build(262144, RotaryDim, Theta).Upload(device.Upload);
        return new PreparedKernel(
            QkNormRotary.Bind(
                device.Loader, qOnDevice, kOnDevice, Heads, KvHeads, HeadDim,
                new QkNormWeights(device.Upload(qNorm), device.Upload(kNorm), rotary, Eps), device.Upload(positions)),
            Bytes: 2L * Rows * (Heads + KvHeads) * HeadDim * sizeof(float),
            Flops: Rows * (Heads + KvHeads) * ((5L * HeadDim) + (6L * RotaryDim)),
            () => Math.Max(
                Error(device.Download(qOnDevice.Data), q, 2 * HeadDim, qNorm),
                Error(device.Download(kOnDevice.Data), k, HeadDim, kNorm)),
            Tolerance: 1e-5);

        double Error(float[] actual, float[] input, int headStride, float[] weight) => Difference.Relative(
            actual,
            QkNormRotaryReference.Run(
                Array.ConvertAll(input, v => (double)v), headStride, HeadDim, Array.ConvertAll(weight, v => (double)v),
                positions, RotaryDim, Theta, Eps));
    });
}
