using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class DequantMatMulBench
{
    private const int K = 5120;
    private const int N = 17408;
    private const int Group = 128;

    public static KernelBenchmark Decode { get; } = new("dequant_matmul", "gate_proj g128 [17408, 5120], M 1", device => Prepare(device, 1));

    public static KernelBenchmark Batch { get; } = new("dequant_matmul", "gate_proj g128 [17408, 5120], M 16", device => Prepare(device, 16));

    public static KernelBenchmark Int8 { get; } = new("dequant_matmul", "INT8 g128, 8192 rows of lm_head, K 5120, M 1", PrepareInt8);

    private static PreparedKernel PrepareInt8(BenchDevice device)
    {
        const int Rows = 8192;
        const int CheckedRows = 64;
        float[] x = BenchDevice.RandomFloats(1, K);
        var codes = new UInt4[Int8Matrix.CodeBytes(Rows, K, Group) / 16];
        new Random(9).NextBytes(System.Runtime.InteropServices.MemoryMarshal.AsBytes(codes.AsSpan()));
        ushort[] scales = Array.ConvertAll(
            BenchDevice.RandomFloats(5, Int8Matrix.ScaleBytes(Rows, K, Group) / sizeof(ushort), 0.01f), Bf16.FromFloat);
        var w = new Int8Matrix(device.Upload(codes), device.Upload(scales), WeightType.Bf16, Rows, K, Group);
        Matrix<float> y = device.Poisoned<float>(1, Rows);
        return new PreparedKernel(
            DequantMatMul.Bind(device.Loader, device.Upload(x, 1, K), w, y),
            Bytes: Int8Matrix.CodeBytes(Rows, K, Group) + Int8Matrix.ScaleBytes(Rows, K, Group) + ((K + Rows) * (long)sizeof(float)),
            Flops: 2L * Rows * K,
            () =>
            {
                var first = new Int8Reference(
                    CheckedRows, K, Group, codes[..(codes.Length / Rows * CheckedRows)], scales[..(scales.Length / Rows * CheckedRows)]);
                double[] expected = DenseMatMulReference.Run(
                    Array.ConvertAll(x, v => (double)v), first.Unpack(WeightType.Bf16), 1, CheckedRows, K);
                return BenchDevice.RelativeError(device.Download(y.Data)[..CheckedRows], expected);
            },
            Tolerance: 1e-5);
    }

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
