using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class PrefillAttentionBench
{
    private const int Rows = 2048;
    private const int Heads = 24;
    private const int KvHeads = 4;
    private const int HeadDim = 256;

    /// <summary>The beginning of a prompt and a part behind a long one, a row per type of cache, bf16 where it is not named.</summary>
    public static IReadOnlyList<KernelBenchmark> All { get; } =
    [
        .. new[] { 0, 30720 }.SelectMany(history => new[]
        {
            Of<Bf16PageFormat, Bf16PageFormat>("", history),
            Of<Int8PageFormat, Int8PageFormat>(", int8", history),
            Of<Int8PageFormat, Int4PageFormat>(", k8v4", history),
            Of<Int4PageFormat, Int4PageFormat>(", int4", history),
        }),
    ];

    private static KernelBenchmark Of<TKeys, TValues>(string type, int history)
        where TKeys : struct, ITensorCoreFormat
        where TValues : struct, ITensorCoreFormat => new(
            "prefill_attention",
            $"{Rows} rows, {Heads}/{KvHeads} heads · {HeadDim}, {(history == 0 ? "no history" : $"after {history} keys")}{type}",
            device => Prepare<TKeys, TValues>(device, history), NeedsWarps: true);

    private static PreparedKernel Prepare<TKeys, TValues>(BenchDevice device, int history)
        where TKeys : struct, ITensorCoreFormat
        where TValues : struct, ITensorCoreFormat
    {
        int length = history + Rows;
        int pages = length / KvCache.PageTokens;
        float[] q = Seeded.Floats(1, Rows * Heads * 2 * HeadDim, 4);
        int[] positions = [.. Enumerable.Range(history, Rows)];
        Matrix<int> table = device.Upload(Enumerable.Range(0, pages).ToArray(), 1, pages);
        KvPages<TKeys, TValues> filled = FilledPages.Of<TKeys, TValues>(device, pages, KvHeads, HeadDim, table);
        Matrix<float> y = device.Poisoned<float>(Rows, Heads * HeadDim);
        return new PreparedKernel(
            PrefillAttention.Bind(
                device.Loader,
                device.Upload(q, Rows, Heads * 2 * HeadDim),
                filled,
                new PagedRows(device.Upload(new int[Rows]), device.Upload(positions), table),
                device.UploadChunks([0, Rows], positions, Rows / ChunkList.ChunkRows),
                Heads,
                y),
            Bytes: (16 * (filled.Keys.Length + filled.Values.Length)) + (sizeof(float) * 3L * Rows * Heads * HeadDim),
            Flops: 4L * Heads * HeadDim * positions.Sum(p => p + 1L),
            () =>
            {
                (double[] k, double[] v) = FilledPages.Read(device, filled, table, length);
                return new[] { 0, 777, Rows - 1 }.Max(row => RowError(row, k, v));
            },
            Tolerance: 3e-2);

        double RowError(int row, double[] k, double[] v) => Difference.Relative(
            device.Download(y.Row(row)),
            AttentionReference.Run(
                [.. q.Skip(row * Heads * 2 * HeadDim).Take(Heads * 2 * HeadDim).Select(x => (double)x)],
                k, v, [history + row], Heads, KvHeads, HeadDim));
    }
}
