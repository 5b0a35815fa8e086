using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class DequantMatMulBench
{
    private const int K = 5120;
    private const int N = 17408;
    private const int Group = 128;

    public static KernelBenchmark Decode { get; } = new("dequant_matmul", "gate_proj g128 [17408, 5120], M 1", device => Prepare(device, 1));

    public static KernelBenchmark Batch { get; } = new("dequant_matmul", "gate_proj g128 [17408, 5120], M 16", device => Prepare(device, 16));

    private static PreparedKernel Prepare(BenchDevice device, int m)
    {
        const int CheckedTiles = 4;                     // row tiles, spread over all of them
        float[] x = BenchDevice.RandomFloats(m, m * K);
        var codes = new UInt4[Int4Matrix.CodeBytes(N, K, Group) / 16];
        new Random(4).NextBytes(System.Runtime.InteropServices.MemoryMarshal.AsBytes(codes.AsSpan()));
        ushort[] scales = Array.ConvertAll(
            BenchDevice.RandomFloats(5, Int4Matrix.ScaleBytes(N, K, Group) / sizeof(ushort), 0.01f), Bf16.FromFloat);
        var w = new Int4Matrix(device.Upload(codes), device.Upload(scales), default, WeightType.Bf16, N, K, Group);
        Matrix<float> y = device.Poisoned<float>(m, N);
        return new PreparedKernel(
            DequantMatMul.Bind(device.Loader, device.Upload(x, m, K), w, y),
            Bytes: Int4Matrix.CodeBytes(N, K, Group) + Int4Matrix.ScaleBytes(N, K, Group) + ((K + N) * (long)m * sizeof(float)),
            Flops: 2L * m * N * K,
            () =>
            {
                float[] all = device.Download(y.Data);
                double worst = 0;
                for (int i = 0; i < CheckedTiles; i++)
                {
                    int tile = i * (w.RowTiles - 1) / (CheckedTiles - 1);
                    int tileCodes = codes.Length / w.RowTiles;
                    int tileScales = scales.Length / w.RowTiles;
                    var rows = new Int4Reference(
                        16,
                        K,
                        Group,
                        codes[(tile * tileCodes)..((tile + 1) * tileCodes)],
                        scales[(tile * tileScales)..((tile + 1) * tileScales)]);
                    float[] actual = [.. Enumerable.Range(0, m).SelectMany(t => all.AsSpan((t * N) + (tile * 16), 16).ToArray())];
                    double[] expected = DenseMatMulReference.Run(
                        Array.ConvertAll(x, v => (double)v), rows.Unpack(WeightType.Bf16), m, 16, K);
                    worst = Math.Max(worst, BenchDevice.RelativeError(actual, expected));
                }

                return worst;
            },
            Tolerance: 1e-5);
    }
}
