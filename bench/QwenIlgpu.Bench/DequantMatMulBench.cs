using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class DequantMatMulBench
{
    private const int K = 5120;
    private const int N = 17408;
    private const int Group = 128;

    public static KernelBenchmark Decode { get; } = new("dequant_matmul", "gate_proj g128 [17408, 5120], M 1", device => Prepare(device, N, 1));

    public static KernelBenchmark Batch { get; } = new("dequant_matmul", "gate_proj g128 [17408, 5120], M 16", device => Prepare(device, N, 16));

    public static KernelBenchmark Prefill { get; } = new("dequant_matmul", "gate_proj g128, 4096 rows, K 5120, M 64", device => Prepare(device, 4096, 64));

    public static KernelBenchmark LongPrefill { get; } =
        new("dequant_matmul", "gate_proj g128, 4096 rows, K 5120, M 512", device => Prepare(device, 4096, 512));

    public static KernelBenchmark Int8 { get; } = new("dequant_matmul", "INT8 g128, 8192 rows of lm_head, K 5120, M 1", PrepareInt8);

    private static PreparedKernel PrepareInt8(BenchDevice device)
    {
        const int Rows = 8192;
        const int CheckedRows = 64;
        float[] x = Seeded.Floats(1, K);
        var codes = new UInt4[Int8Layout.CodeBytes(Rows, K, Group) / 16];
        new Random(9).NextBytes(System.Runtime.InteropServices.MemoryMarshal.AsBytes(codes.AsSpan()));
        ushort[] scales = Array.ConvertAll(
            Seeded.Floats(5, Int8Layout.ScaleBytes(Rows, K, Group) / sizeof(ushort), 0.01f), Bf16.FromFloat);
        Matrix<float> xs = device.Upload(x, 1, K);
        Matrix<float> y = device.Poisoned<float>(1, Rows);
        return new PreparedKernel(
            Bind(),
            Bytes: Int8Layout.CodeBytes(Rows, K, Group) + Int8Layout.ScaleBytes(Rows, K, Group) + ((K + Rows) * (long)sizeof(float)),
            Flops: 2L * Rows * K,
            () =>
            {
                var first = new Int8Reference(
                    CheckedRows, K, Group, codes[..(codes.Length / Rows * CheckedRows)], scales[..(scales.Length / Rows * CheckedRows)]);
                double[] expected = MatMulReference.Run(
                    Array.ConvertAll(x, v => (double)v), first.Unpack(WeightType.Bf16), 1, CheckedRows, K);
                return Difference.Relative(device.Download(y.Data)[..CheckedRows], expected);
            },
            Tolerance: 1e-5)
        {
            Rotation = [.. Enumerable.Range(0, device.FurtherCopies(Int8Layout.CodeBytes(Rows, K, Group))).Select(_ => Bind())],
        };

        Launch Bind() => PortableMatMul.Bind(
            device.Loader, xs, WeightMatrix.Int8(device.Upload(codes), device.Upload(scales), WeightType.Bf16, Rows, K, Group), y, takesFixedPoint: true);
    }

    private static PreparedKernel Prepare(BenchDevice device, int n, int m)
    {
        const int CheckedTiles = 4;                     // row tiles, spread over all of them
        float[] x = Seeded.Floats(m, m * K);
        var codes = new UInt4[Int4Layout.CodeBytes(n, K, Group) / 16];
        new Random(4).NextBytes(System.Runtime.InteropServices.MemoryMarshal.AsBytes(codes.AsSpan()));
        ushort[] scales = Array.ConvertAll(
            Seeded.Floats(5, Int4Layout.ScaleBytes(n, K, Group) / sizeof(ushort), 0.01f), Bf16.FromFloat);
        int rowTiles = Int4Layout.RowTiles(n);
        Matrix<float> xs = device.Upload(x, m, K);
        Matrix<float> y = device.Poisoned<float>(m, n);
        return new PreparedKernel(
            Bind(),
            Bytes: Int4Layout.CodeBytes(n, K, Group) + Int4Layout.ScaleBytes(n, K, Group) + ((K + n) * (long)m * sizeof(float)),
            Flops: 2L * m * n * K,
            () =>
            {
                float[] all = device.Download(y.Data);
                double worst = 0;
                for (int i = 0; i < CheckedTiles; i++)
                {
                    int tile = i * (rowTiles - 1) / (CheckedTiles - 1);
                    int tileCodes = codes.Length / rowTiles;
                    int tileScales = scales.Length / rowTiles;
                    var rows = new Int4Reference(
                        16,
                        K,
                        Group,
                        codes[(tile * tileCodes)..((tile + 1) * tileCodes)],
                        scales[(tile * tileScales)..((tile + 1) * tileScales)]);
                    float[] actual = [.. Enumerable.Range(0, m).SelectMany(t => all.AsSpan((t * n) + (tile * 16), 16).ToArray())];
                    double[] expected = MatMulReference.Run(
                        Array.ConvertAll(x, v => (double)v), rows.Unpack(WeightType.Bf16), m, 16, K);
                    worst = Math.Max(worst, Difference.Relative(actual, expected));
                }

                return worst;
            },
            Tolerance: 1e-5)
        {
            Rotation = m > 1 ? [] : [.. Enumerable.Range(0, device.FurtherCopies(Int4Layout.CodeBytes(n, K, Group))).Select(_ => Bind())],
        };

        Launch Bind() => PortableMatMul.Bind(
            device.Loader, xs, WeightMatrix.Int4(device.Upload(codes), device.Upload(scales), default, WeightType.Bf16, n, K, Group), y,
            takesFixedPoint: m <= 16);
    }
}
