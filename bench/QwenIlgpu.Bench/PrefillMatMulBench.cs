using System.Globalization;
using System.Runtime.InteropServices;
using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

/// <summary>The matmuls of a prompt of Qwen3.6-27B: rows are rounded before, once for all projections that read them.</summary>
internal static class PrefillMatMulBench
{
    private const int Group = 128;

    public static KernelBenchmark GateUp64 { get; } = GateUp(64);

    public static KernelBenchmark GateUp256 { get; } = GateUp(256);

    public static KernelBenchmark GateUp512 { get; } = GateUp(512);

    public static KernelBenchmark GateUp2048 { get; } = GateUp(2048);

    public static KernelBenchmark QkvZ { get; } = Of("qkv|z INT4 [10240 | 6144, 5120]", 2048, 5120, [10240, 6144]);

    public static KernelBenchmark QGateKV { get; } = Of("q|gate|k|v INT4 [12288 | 1024 | 1024, 5120]", 2048, 5120, [12288, 1024, 1024]);

    public static KernelBenchmark Down { get; } = Of("down INT4 [5120, 17408] + residual", 2048, 17408, [5120], residual: true);

    public static KernelBenchmark Out { get; } = Of("out, o INT4 [5120, 6144] + residual", 2048, 6144, [5120], residual: true);

    private static KernelBenchmark GateUp(int m) => Of("gate|up INT4 2 × [17408, 5120] + SwiGLU", m, 5120, [17408, 17408], swiGlu: true);

    private static KernelBenchmark Of(string shape, int m, int k, int[] rows, bool swiGlu = false, bool residual = false) => new(
        "prefill_matmul", string.Create(CultureInfo.InvariantCulture, $"{shape}, M {m}"),
        device => Prepare(device, m, k, rows, swiGlu, residual), NeedsWarps: true);

    private static PreparedKernel Prepare(BenchDevice device, int m, int k, int[] rows, bool swiGlu, bool residual)
    {
        float[] x = Seeded.Floats(1, m * k);
        var packed = new PrefillRows(device.Uninitialised<UInt4>(PrefillRows.Length(m, k)), m, k, Operand16.Bf16);
        PrefillMatMul.BindRound(device.Loader, new MatMulRows(device.Upload(x, m, k)), packed).Run(device.Stream);
        var matMul = new PrefillShape(PrefillFormat.Int4, k, rows, swiGlu);
        PrefillTile tile = PrefillTables.TileOf(device.Loader, matMul, m);
        var plan = PrefillPlan.Of(tile, m, matMul);
        var scratch = new MatMulScratch(
            plan.ScratchFloats > 0 ? device.Poisoned<float>(plan.ScratchFloats) : default,
            plan.Tickets > 0 ? device.Upload(new int[plan.Tickets]) : default);
        UInt4[][] codes = [.. rows.Select((n, i) => RandomCodes(Int4Layout.CodeBytes(n, k, Group) / 16, i))];
        ushort[][] scales = [.. rows.Select((n, i) => Array.ConvertAll(
            Seeded.Floats(i, Int4Layout.ScaleBytes(n, k, Group) / sizeof(ushort), 0.01f), Bf16.FromFloat))];
        Matrix<float>[] ys = [.. rows.Select((n, i) => swiGlu && i > 0 ? default : device.Poisoned<float>(m, n))];
        Projection[] projections =
        [
            .. rows.Select((n, i) => new Projection(
                WeightMatrix.Int4(device.Upload(codes[i]), device.Upload(scales[i]), default, WeightType.Bf16, n, k, Group), ys[i])),
        ];
        var finish = new Epilogue(
            SwiGlu: swiGlu, Residual: residual ? device.Upload(new float[(long)m * rows[0]], m, rows[0]) : default);
        long weightBytes = rows.Sum(n => Int4Layout.CodeBytes(n, k, Group) + Int4Layout.ScaleBytes(n, k, Group));
        return new PreparedKernel(
            PrefillMatMul.Bind(device.Loader, packed, projections, finish, scratch, tile),
            Bytes: weightBytes + (packed.Words.Length * 16) + ys.Sum(y => (long)y.Rows * y.Columns * sizeof(float)),
            Flops: 2L * m * k * rows.Sum(n => (long)n),
            () => Error(device, x, m, k, swiGlu, codes, scales, ys[0]),
            Tolerance: 2e-2);                           // x is rounded to bf16
    }

    // The last token's outputs of the first and the last row tile of the first projection, or of both where they are one output.
    public static double Error(
        BenchDevice device, float[] x, int m, int k, bool swiGlu, UInt4[][] codes, ushort[][] scales, Matrix<float> y)
    {
        double[] row = [.. x.AsSpan((m - 1) * k, k).ToArray().Select(v => (double)v)];
        float[] last = device.Download(y.Row(m - 1));
        int tiles = y.Columns / Int4Layout.TileRows;
        return new[] { 0, tiles - 1 }.Max(tile => Difference.Relative(
            last[(tile * Int4Layout.TileRows)..((tile + 1) * Int4Layout.TileRows)],
            swiGlu ? SwiGluReference.Run(Product(tile, 0), Product(tile, 1)) : Product(tile, 0)));

        double[] Product(int tile, int projection)
        {
            int tileCodes = codes[projection].Length / tiles;
            int tileScales = scales[projection].Length / tiles;
            var weights = new Int4Reference(
                Int4Layout.TileRows, k, Group, codes[projection][(tile * tileCodes)..((tile + 1) * tileCodes)],
                scales[projection][(tile * tileScales)..((tile + 1) * tileScales)]);
            return MatMulReference.Run(row, weights.Unpack(WeightType.Bf16), 1, Int4Layout.TileRows, k);
        }
    }

    public static UInt4[] RandomCodes(long words, int seed)
    {
        var values = new UInt4[words];
        new Random(seed).NextBytes(MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
