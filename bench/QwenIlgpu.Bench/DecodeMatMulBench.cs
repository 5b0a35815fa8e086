using System.Runtime.InteropServices;
using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

/// <summary>
/// The decode matmuls of Qwen3.6-27B: the launches of one step's projections over distinct weights, 1 GiB or more on a GPU, so that no
/// cache holds them. One timed run is the whole chain.
/// </summary>
internal static class DecodeMatMulBench
{
    private const long GpuBytes = 1L << 30;

    public static KernelBenchmark GateUp { get; } = Of("gate|up INT4 2 × [17408, 5120] + SwiGLU", 5120, [17408, 17408], swiGlu: true);

    public static KernelBenchmark GateUpOfFour { get; } =
        Of("gate|up INT4 2 × [17408, 5120] + SwiGLU, M 4", 5120, [17408, 17408], swiGlu: true, m: 4);

    public static KernelBenchmark QkvZ { get; } = Of("qkv|z INT4 [10240 | 6144, 5120] + norm", 5120, [10240, 6144], norm: true);

    public static KernelBenchmark QGateKV { get; } =
        Of("q|gate|k|v INT4 [12288 | 1024 | 1024, 5120] + norm", 5120, [12288, 1024, 1024], norm: true);

    public static KernelBenchmark Down { get; } = Of("down INT4 [5120, 17408] + residual", 17408, [5120], residual: true);

    public static KernelBenchmark Out { get; } = Of("out, o INT4 [5120, 6144] + residual", 6144, [5120], residual: true);

    public static KernelBenchmark Head { get; } =
        new("decode_matmul", "lm_head INT8 [248320, 5120] + arg-max", PrepareHead, NeedsWarps: true);

    private static KernelBenchmark Of(
        string shape, int k, int[] rows, bool swiGlu = false, bool norm = false, bool residual = false, int m = 1) =>
        new("decode_matmul", shape, device => Prepare(device, m, k, rows, swiGlu, norm, residual), NeedsWarps: true);

    private static PreparedKernel Prepare(BenchDevice device, int m, int k, int[] rows, bool swiGlu, bool norm, bool residual)
    {
        const int Group = 128;
        long bytes = rows.Sum(n => Int4Layout.CodeBytes(n, k, Group) + Int4Layout.ScaleBytes(n, k, Group));
        int links = (int)((GpuBytes + bytes - 1) / bytes);
        float[] x = Seeded.Floats(1, m * k);
        Matrix<float> input = device.Upload(x, m, k);
        ArrayView<float> normWeight = norm ? device.Upload(new float[k]) : default;
        DecodePlan plan = DecodePlan.Of(m, k, rows, swiGlu);
        var scratch = new MatMulScratch(
            plan.ScratchFloats > 0 ? device.Poisoned<float>(plan.ScratchFloats) : default,
            plan.Tickets > 0 ? device.Upload(new int[plan.Tickets]) : default);

        // The links share their codes' random bits, not their memory.
        UInt4[][] codes = [.. rows.Select((n, i) => Random(Int4Layout.CodeBytes(n, k, Group) / 16, i))];
        ushort[][] scales = [.. rows.Select((n, i) => Array.ConvertAll(
            Seeded.Floats(i, Int4Layout.ScaleBytes(n, k, Group) / sizeof(ushort), 0.01f), Bf16.FromFloat))];
        Matrix<float>[] ys = [.. rows.Select(n => device.Poisoned<float>(m, n))];
        Matrix<float> zeros = device.Upload(new float[m * rows[0]], m, rows[0]);
        var launches = new List<Launch>();
        for (int link = 0; link < links; link++)
        {
            Projection[] projections =
            [
                .. rows.Select((n, i) => new Projection(
                    WeightMatrix.Int4(device.Upload(codes[i]), device.Upload(scales[i]), default, WeightType.Bf16, n, k, Group), ys[i])),
            ];
            launches.AddRange(DecodeMatMul.Bind(
                device.Loader,
                new MatMulRows(input, normWeight, 1e-6f),
                projections,
                new Epilogue(SwiGlu: swiGlu, Residual: residual ? zeros : default),
                Operand16.Bf16,
                scratch));
        }

        return new PreparedKernel(
            Chain(launches),
            Bytes: links * bytes,
            Flops: links * 2L * m * k * rows.Sum(n => (long)n),
            () => Error(device, x, m, k, norm, swiGlu, codes, scales, ys),
            Tolerance: 2e-2);                           // x is rounded to bf16
    }

    private static PreparedKernel PrepareHead(BenchDevice device)
    {
        const int N = 248320;
        const int K = 5120;
        UInt4[] codes = Random(Int8Layout.CodeBytes(N, K, K) / 16, 3);
        long scaleCount = Int8Layout.ScaleBytes(N, K, K) / sizeof(ushort);
        ushort[] scales = Array.ConvertAll(Seeded.Floats(4, scaleCount, 0.001f), Bf16.FromFloat);
        float[] x = Seeded.Floats(5, K);
        DecodePlan plan = DecodePlan.Of(1, K, [N], argMax: true);
        Matrix<float> logits = device.Poisoned<float>(1, N);
        ArrayView<int> ids = device.Uninitialised<int>(1);
        Launch[] launches = DecodeMatMul.Bind(
            device.Loader,
            new MatMulRows(device.Upload(x, 1, K)),
            [new Projection(WeightMatrix.Int8(device.Upload(codes), device.Upload(scales), WeightType.Bf16, N, K, K), logits)],
            new Epilogue(ArgMax: new ArgMaxOutput(ids, N)),
            Operand16.Bf16,
            new MatMulScratch(device.Poisoned<float>(plan.ScratchFloats)));
        return new PreparedKernel(
            Chain(launches),
            Bytes: Int8Layout.CodeBytes(N, K, K) + Int8Layout.ScaleBytes(N, K, K),
            Flops: 2L * N * K,
            () =>
            {
                float[] y = device.Download(logits.Data);
                if (device.Download(ids)[0] != Array.IndexOf(y, y.Max()))
                    return double.PositiveInfinity;
                byte[] bytes = MemoryMarshal.AsBytes(codes.AsSpan(0, 16 * K / 16)).ToArray();
                var expected = new double[16];
                for (int r = 0; r < 16; r++)
                {
                    double sum = 0;
                    for (int k = 0; k < K; k++)
                    {
                        (long lane, int word, int index) = Int8Layout.Position(r, k, K / Int8Layout.TileColumns);
                        sum += (sbyte)bytes[(lane * 16) + (word * 4) + index] * (double)x[k];
                    }

                    expected[r] = sum * Bf16.ToFloat(scales[r]);
                }

                return Difference.Relative(y[..16], expected);
            },
            Tolerance: 2e-2);
    }

    // The first and the last row tile of the first projection, or of both where they are one output.
    private static double Error(
        BenchDevice device, float[] x, int m, int k, bool norm, bool swiGlu, UInt4[][] codes, ushort[][] scales, Matrix<float>[] ys)
    {
        double[] rows = Array.ConvertAll(x, v => (double)v);
        if (norm)
            rows = RmsNormReference.Run(rows, new double[k], m, 1e-6);
        float[] y = device.Download(ys[0].Data);
        int n = ys[0].Columns;
        double worst = 0;
        foreach (int tile in new[] { 0, (n / 16) - 1 })
        {
            double[] expected = Product(0);
            if (swiGlu)
                expected = SwiGluReference.Run(expected, Product(1));
            float[] actual = [.. Enumerable.Range(0, m).SelectMany(t => y.AsSpan((t * n) + (tile * 16), 16).ToArray())];
            worst = Math.Max(worst, Difference.Relative(actual, expected));

            double[] Product(int projection)
            {
                int tileCodes = codes[projection].Length / (n / 16);
                int tileScales = scales[projection].Length / (n / 16);
                var weights = new Int4Reference(
                    16, k, 128, codes[projection][(tile * tileCodes)..((tile + 1) * tileCodes)],
                    scales[projection][(tile * tileScales)..((tile + 1) * tileScales)]);
                return MatMulReference.Run(rows, weights.Unpack(WeightType.Bf16), m, 16, k);
            }
        }

        return worst;
    }

    private static Launch Chain(IReadOnlyList<Launch> launches)
    {
        Launch[] all = [.. launches];
        return new Launch("decode_matmul", 1, stream =>
        {
            foreach (Launch launch in all)
                launch.Run(stream);
        });
    }

    private static UInt4[] Random(long words, int seed)
    {
        var values = new UInt4[words];
        new Random(seed).NextBytes(MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
