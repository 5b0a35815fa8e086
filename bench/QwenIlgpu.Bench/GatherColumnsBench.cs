using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class GatherColumnsBench
{
    public static KernelBenchmark Decode { get; } = Of(1, 5120);

    public static KernelBenchmark Prefill { get; } = Of(512, 17408);

    private static KernelBenchmark Of(int rows, int columns) => new("gather_columns", $"x [{rows}, {columns}] in another order", device =>
    {
        int[] order = [.. Enumerable.Range(0, columns)];
        new Random(13).Shuffle(order);
        float[] x = Seeded.Floats(13, rows * columns);
        Matrix<float> y = device.Poisoned<float>(rows, columns);
        return new PreparedKernel(
            GatherColumns.Bind(device.Loader, device.Upload(x, rows, columns), device.Upload(order), y),
            Bytes: (2L * rows * columns * sizeof(float)) + (columns * sizeof(int)),
            Flops: 0,
            () => Difference.Relative(
                device.Download(y.Data), [.. x.Chunk(columns).SelectMany(row => order.Select(column => (double)row[column]))]),
            Tolerance: 0);
    });
}
