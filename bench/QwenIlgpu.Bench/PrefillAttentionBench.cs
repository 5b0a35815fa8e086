using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class PrefillAttentionBench
{
    private const int Rows = 2048;
    private const int Heads = 24;
    private const int KvHeads = 4;
    private const int HeadDim = 256;
    private const int Width = KvHeads * HeadDim;

    public static KernelBenchmark Beginning { get; } = new(
        "prefill_attention", "2048 rows, 24/4 heads · 256, no history", device => Prepare(device, 0), NeedsWarps: true);

    public static KernelBenchmark Continued { get; } = new(
        "prefill_attention", "2048 rows, 24/4 heads · 256, after 30720 keys", device => Prepare(device, 30720), NeedsWarps: true);

    private static PreparedKernel Prepare(BenchDevice device, int history)
    {
        int length = history + Rows;
        int pages = length / KvCache.PageTokens;
        float[] q = Seeded.Floats(1, Rows * Heads * 2 * HeadDim, 4);
        ushort[] k = Array.ConvertAll(Seeded.Floats(2, length * Width), Bf16.FromFloat);
        ushort[] v = Array.ConvertAll(Seeded.Floats(3, length * Width), Bf16.FromFloat);
        int[] positions = [.. Enumerable.Range(history, Rows)];
        Matrix<float> y = device.Poisoned<float>(Rows, Heads * HeadDim);
        return new PreparedKernel(
            PrefillAttention.Bind(
                device.Loader,
                device.Upload(q, Rows, Heads * 2 * HeadDim),
                new KvPages<Bf16PageFormat, Bf16PageFormat>(
                    device.Upload(k).Cast<UInt4>(), device.Upload(v).Cast<UInt4>(), pages, KvHeads, HeadDim),
                new PagedRows(
                    device.Upload(new int[Rows]), device.Upload(positions), device.Upload(Enumerable.Range(0, pages).ToArray(), 1, pages)),
                device.UploadChunks([0, Rows], positions, Rows / ChunkList.ChunkRows),
                Heads,
                y),
            Bytes: (2L * sizeof(ushort) * length * Width) + (sizeof(float) * 3L * Rows * Heads * HeadDim),
            Flops: 4L * Heads * HeadDim * positions.Sum(p => p + 1L),
            () => new[] { 0, 777, Rows - 1 }.Max(row => RowError(row, history + row + 1)),
            Tolerance: 3e-2);

        double RowError(int row, int keys) => Difference.Relative(
            device.Download(y.Row(row)),
            AttentionReference.Run(
                [.. q.Skip(row * Heads * 2 * HeadDim).Take(Heads * 2 * HeadDim).Select(x => (double)x)],
                InTokenOrder(k, keys), InTokenOrder(v, keys), [keys - 1], Heads, KvHeads, HeadDim));
    }

    // [page, kv head, 64, Hd] to the first tokens of [token, kv head, Hd]
    private static double[] InTokenOrder(ushort[] pages, int tokens)
    {
        double[] rows = new double[tokens * Width];
        for (int i = 0; i < rows.Length; i++)
        {
            (int token, int column) = Math.DivRem(i, Width);
            (int head, int d) = Math.DivRem(column, HeadDim);
            (int page, int inPage) = Math.DivRem(token, KvCache.PageTokens);
            rows[i] = Bf16.ToFloat(pages[(((((page * KvHeads) + head) * KvCache.PageTokens) + inPage) * HeadDim) + d]);
        }

        return rows;
    }
}
