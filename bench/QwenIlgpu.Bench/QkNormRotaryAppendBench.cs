using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class QkNormRotaryAppendBench
{
    public static KernelBenchmark Decode { get; } =
        new("qk_norm_rotary_append", "1 row, 24/4 heads · 256, bf16 pages", device => Prepare(device, 1), NeedsWarps: true);

    private static PreparedKernel Prepare(BenchDevice device, int rows)
    {
        const int Heads = 24;
        const int KvHeads = 4;
        const int HeadDim = 256;
        const int RotaryDim = 64;
        const double Theta = 1e7;
        const float Eps = 1e-6f;
        float[] q = Seeded.Floats(1, rows * Heads * 2 * HeadDim);
        float[] k = Seeded.Floats(2, rows * KvHeads * HeadDim);
        float[] qNorm = Seeded.Floats(3, HeadDim);
        ArrayView<float> kNorm = device.Upload(Seeded.Floats(4, HeadDim));
        int[] positions = [.. Enumerable.Range(1000, rows)];
        int pages = ((1000 + rows) / KvCache.PageTokens) + 1;
        Matrix<float> qOnDevice = device.Upload(q, rows, Heads * 2 * HeadDim);
        long words = (long)pages * KvHeads * PageBlock.Words<Bf16PageFormat>(HeadDim);
        return new PreparedKernel(
            QkNormRotaryAppend.Bind(
                device.Loader, qOnDevice, device.Upload(k, rows, KvHeads * HeadDim), device.Upload(k, rows, KvHeads * HeadDim), Heads,
                new QkNormWeights(device.Upload(qNorm), kNorm, RotaryTable.Build(262144, RotaryDim, Theta).Upload(device.Upload), Eps),
                new KvPages<Bf16PageFormat, Bf16PageFormat>(
                    device.Poisoned<UInt4>(words), device.Poisoned<UInt4>(words), pages, KvHeads, HeadDim),
                new PagedRows(
                    device.Upload(new int[rows]), device.Upload(positions), device.Upload(Enumerable.Range(0, pages).ToArray(), 1, pages))),
            Bytes: (long)rows * HeadDim * ((2 * Heads * sizeof(float)) + (2 * KvHeads * (sizeof(float) + sizeof(ushort)))),
            Flops: rows * (Heads + KvHeads) * ((5L * HeadDim) + (6L * RotaryDim)),
            () => Difference.Relative(
                device.Download(qOnDevice.Data),
                QkNormRotaryReference.Run(
                    Array.ConvertAll(q, x => (double)x), 2 * HeadDim, HeadDim, Array.ConvertAll(qNorm, x => (double)x), positions,
                    RotaryDim, Theta, Eps)),
            Tolerance: 1e-5);
    }
}
