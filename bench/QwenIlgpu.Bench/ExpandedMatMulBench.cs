using System.Globalization;
using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

/// <summary>
/// The other way to multiply INT4 weights by many tokens: expand slices of their rows to bf16, each once, and multiply those. Beside
/// prefill_matmul at the same shapes it shows what codes in the matmul itself cost or save.
/// </summary>
internal static class ExpandedMatMulBench
{
    private const int Group = 128;

    public static KernelBenchmark QkvZ512 { get; } = QkvZ(512, 4096);

    public static KernelBenchmark QkvZ2048 { get; } = QkvZ(2048, 4096);

    public static KernelBenchmark QkvZ4096 { get; } = QkvZ(4096, 4096);

    public static KernelBenchmark QkvZ4096Whole { get; } = QkvZ(4096, 16384);

    private static KernelBenchmark QkvZ(int m, int sliceRows) => new(
        "prefill_matmul_expanded", string.Create(CultureInfo.InvariantCulture, $"qkv|z INT4 [16384, 5120] by {sliceRows} rows, M {m}"),
        device => Prepare(device, m, 5120, 16384, sliceRows), NeedsWarps: true);

    private static PreparedKernel Prepare(BenchDevice device, int m, int k, int n, int sliceRows)
    {
        float[] x = Seeded.Floats(1, (long)m * k);
        var packed = new PrefillRows(device.Uninitialised<UInt4>(PrefillRows.Length(m, k)), m, k, Operand16.Bf16);
        PrefillMatMul.BindRound(device.Loader, new MatMulRows(device.Upload(x, m, k)), packed).Run(device.Stream);
        UInt4[] codes = PrefillMatMulBench.RandomCodes(Int4Layout.CodeBytes(n, k, Group) / 16, 0);
        ushort[] scales = Array.ConvertAll(
            Seeded.Floats(0, Int4Layout.ScaleBytes(n, k, Group) / sizeof(ushort), 0.01f), Bf16.FromFloat);
        var weights = WeightMatrix.Int4(device.Upload(codes), device.Upload(scales), default, WeightType.Bf16, n, k, Group);
        var slice = WeightMatrix.Dense(
            WeightType.Bf16, device.Uninitialised<UInt4>(DenseLayout.Bytes(WeightType.Bf16, sliceRows, k) / 16), sliceRows, k);
        Matrix<float> y = device.Poisoned<float>(m, n);
        var shape = new PrefillShape(PrefillFormat.Dense, k, [sliceRows], SwiGlu: false);
        PrefillTile tile = PrefillTables.TileOf(device.Loader, shape, m);
        var plan = PrefillPlan.Of(tile, m, shape);
        var scratch = new MatMulScratch(
            plan.ScratchFloats > 0 ? device.Poisoned<float>(plan.ScratchFloats) : default,
            plan.Tickets > 0 ? device.Upload(new int[plan.Tickets]) : default);
        Launch[] launches =
        [
            .. Enumerable.Range(0, n / sliceRows).SelectMany(s => (Launch[])
            [
                ExpandInt4.Bind(device.Loader, weights, s * sliceRows, slice),
                PrefillMatMul.Bind(device.Loader, packed, [new Projection(slice, Columns(y, s * sliceRows, sliceRows))], default, scratch, tile),
            ]),
        ];
        return new PreparedKernel(
            launches[0],
            Bytes: weights.Data.LengthInBytes + weights.Scales.LengthInBytes + (4L * n * k) + (packed.Words.Length * 16) + ((long)m * n * sizeof(float)),
            Flops: 2L * m * k * n,
            () => PrefillMatMulBench.Error(device, x, m, k, swiGlu: false, [codes], [scales], y),
            Tolerance: 2e-2)                            // x and the weights are rounded to bf16
        {
            Further = launches[1..],
        };
    }

    private static Matrix<float> Columns(Matrix<float> y, int first, int count) =>
        new(y.Data.SubView(first, y.Data.Length - first), y.Rows, count, y.Stride);
}
