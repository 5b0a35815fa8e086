using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class GatherRowsBench
{
    public static KernelBenchmark Prefill { get; } = new("gather_rows", "64 rows of x [512, 5120]", device =>
    {
        const int D = 5120;
        int[] rows = [.. Enumerable.Range(0, 64).Select(i => (i * 37) % 512)];
        float[] x = Seeded.Floats(12, 512 * D);
        Matrix<float> y = device.Poisoned<float>(rows.Length, D);
        return new PreparedKernel(
            GatherRows.Bind(device.Loader, device.Upload(x, 512, D), device.Upload(rows), y),
            Bytes: 2L * rows.Length * D * sizeof(float),
            Flops: 0,
            () => Difference.Relative(
                device.Download(y.Data), [.. rows.SelectMany(r => x.AsSpan(r * D, D).ToArray()).Select(v => (double)v)]),
            Tolerance: 0);
    });
}
