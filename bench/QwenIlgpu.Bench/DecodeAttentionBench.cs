using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

/// <summary>One row of Qwen3.6-27B over its past: 24 query heads on 4 kv heads of 256, pages of each type in scattered order.</summary>
internal static class DecodeAttentionBench
{
    private const int Heads = 24;
    private const int KvHeads = 4;
    private const int HeadDim = 256;

    // 134 MB of bf16 at 32k exceed every L2; at 1k all keys and values come out of it from the second run on.
    public static KernelBenchmark OneThousand { get; } = Of<Bf16PageFormat, Bf16PageFormat>("bf16", 1, 1024);

    public static KernelBenchmark EightThousand { get; } = Of<Bf16PageFormat, Bf16PageFormat>("bf16", 1, 8192);

    public static KernelBenchmark FourRows { get; } = Of<Bf16PageFormat, Bf16PageFormat>("bf16", 4, 32_768);

    /// <summary>A row per type of cache that the kernels of tensor cores read; the last is of the longest context.</summary>
    public static IReadOnlyList<KernelBenchmark> Types { get; } =
    [
        Of<Bf16PageFormat, Bf16PageFormat>("bf16", 1, 32_768),
        Of<Int8PageFormat, Int8PageFormat>("int8", 1, 32_768),
        Of<Int8PageFormat, Int4PageFormat>("k8v4", 1, 32_768),
        Of<Int4PageFormat, Int4PageFormat>("int4", 1, 32_768),
        Of<Int4PageFormat, Int4PageFormat>("int4", 1, 131_072),
    ];

    private static KernelBenchmark Of<TKeys, TValues>(string type, int rows, int length)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat => new(
        "decode_attention", $"{rows} row{(rows > 1 ? "s of a sequence" : "")}, 24/4 heads · 256, {length} keys {type}",
        device => Prepare<TKeys, TValues>(device, rows, length), NeedsWarps: true);

    private static PreparedKernel Prepare<TKeys, TValues>(BenchDevice device, int rows, int length)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        int pages = length / KvCache.PageTokens;
        float[] q = Seeded.Floats(1, rows * Heads * 2 * HeadDim, 4);
        int[] ids = [.. Enumerable.Range(0, pages)];
        new Random(4).Shuffle(ids);
        Matrix<int> table = device.Upload(ids, 1, pages);
        int[] positions = [.. Enumerable.Range(length - rows, rows)];
        (int scratchRows, int scratchColumns) = DecodeAttention.ScratchShape(rows, Heads, HeadDim, pages);
        Matrix<float> y = device.Poisoned<float>(rows, Heads * HeadDim);
        KvPages<TKeys, TValues> filled = FilledPages.Of<TKeys, TValues>(device, pages, KvHeads, HeadDim, table);
        return new PreparedKernel(
            DecodeAttention.Bind(
                device.Loader,
                device.Upload(q, rows, Heads * 2 * HeadDim),
                filled,
                new PagedRows(device.Upload(new int[rows]), device.Upload(positions), table),
                Heads,
                device.Poisoned<float>(scratchRows, scratchColumns),
                device.Upload(new int[DecodeAttention.Tickets(rows, KvHeads)]),
                y),
            Bytes: 16L * pages * KvHeads * (PageBlock.Words<TKeys>(HeadDim) + PageBlock.Words<TValues>(HeadDim)),    // once, however many rows
            Flops: 4L * rows * Heads * HeadDim * length,
            () =>
            {
                (double[] k, double[] v) = FilledPages.Read(device, filled, table, length);
                return Difference.Relative(
                    device.Download(y.Data), AttentionReference.Run(Array.ConvertAll(q, x => (double)x), k, v, positions, Heads, KvHeads, HeadDim));
            },
            Tolerance: 1e-4);
    }
}
