using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class DenseMatMulBench
{
    private const int K = 5120;
    private const int N = 8192;

    public static KernelBenchmark Decode { get; } = new("dense_matmul", "lm_head slice bf16 [8192, 5120], M 1", device => Prepare(device, 1));

    public static KernelBenchmark Batch { get; } = new("dense_matmul", "lm_head slice bf16 [8192, 5120], M 16", device => Prepare(device, 16));

    public static KernelBenchmark Prefill { get; } = new("dense_matmul", "lm_head slice bf16 [8192, 5120], M 64", device => Prepare(device, 64));

    public static KernelBenchmark LongPrefill { get; } = new("dense_matmul", "lm_head slice bf16 [8192, 5120], M 512", device => Prepare(device, 512));

    private static PreparedKernel Prepare(BenchDevice device, int m)
    {
        const int Checked = 64;                         // rows of w, spread over all of them
        float[] x = Seeded.Floats(m, m * K);
        float[] values = Seeded.Floats(3, (long)N * K);
        UInt4[] packed = DenseReference.Pack(WeightType.Bf16, values, N, K);
        Matrix<float> xs = device.Upload(x, m, K);
        Matrix<float> y = device.Poisoned<float>(m, N);
        return new PreparedKernel(
            Bind(),
            Bytes: DenseLayout.Bytes(WeightType.Bf16, N, K) + ((K + N) * (long)m * sizeof(float)),
            Flops: 2L * m * N * K,
            () =>
            {
                int[] rows = [.. Enumerable.Range(0, Checked).Select(i => (int)((long)i * (N - 1) / (Checked - 1)))];
                int words = packed.Length / N;
                double[] w = DenseReference.Unpack(
                    WeightType.Bf16, [.. rows.SelectMany(r => packed.AsSpan(r * words, words).ToArray())], Checked, K);
                float[] all = device.Download(y.Data);
                float[] actual = [.. Enumerable.Range(0, m).SelectMany(t => rows.Select(r => all[(t * N) + r]))];
                return Difference.Relative(actual, MatMulReference.Run(Array.ConvertAll(x, v => (double)v), w, m, Checked, K));
            },
            Tolerance: 1e-5)
        {
            Rotation = m > 1 ? [] : [.. Enumerable.Range(0, device.FurtherCopies(DenseLayout.Bytes(WeightType.Bf16, N, K))).Select(_ => Bind())],
        };

        Launch Bind() => PortableMatMul.Bind(device.Loader, xs, WeightMatrix.Dense(WeightType.Bf16, device.Upload(packed), N, K), y);
    }
}
