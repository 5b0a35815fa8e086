using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

/// <summary>One row of Qwen3.6-27B over its past: 24 query heads on 4 kv heads of 256, bf16 pages in scattered order.</summary>
internal static class DecodeAttentionBench
{
    private const int Heads = 24;
    private const int KvHeads = 4;
    private const int HeadDim = 256;

    // 134 MB at 32k exceed every L2; at 1k all keys and values come out of it from the second run on.
    public static KernelBenchmark OneThousand { get; } = Of(1, 1024);

    public static KernelBenchmark EightThousand { get; } = Of(1, 8192);

    public static KernelBenchmark ThirtyTwoThousand { get; } = Of(1, 32_768);

    public static KernelBenchmark FourRows { get; } = Of(4, 32_768);

    private static KernelBenchmark Of(int rows, int length) => new(
        "decode_attention", $"{rows} row{(rows > 1 ? "s of a sequence" : "")}, 24/4 heads · 256, {length} keys bf16",
        device => Prepare(device, rows, length), NeedsWarps: true);

    private static PreparedKernel Prepare(BenchDevice device, int rows, int length)
    {
        int pages = length / KvCache.PageTokens;
        float[] q = Seeded.Floats(1, rows * Heads * 2 * HeadDim, 4);
        ushort[] k = Array.ConvertAll(Seeded.Floats(2, length * KvHeads * HeadDim), Bf16.FromFloat);
        ushort[] v = Array.ConvertAll(Seeded.Floats(3, length * KvHeads * HeadDim), Bf16.FromFloat);
        int[] table = [.. Enumerable.Range(0, pages)];
        new Random(4).Shuffle(table);
        int[] positions = [.. Enumerable.Range(length - rows, rows)];
        (int scratchRows, int scratchColumns) = DecodeAttention.ScratchShape(rows, Heads, HeadDim, pages);
        Matrix<float> y = device.Poisoned<float>(rows, Heads * HeadDim);
        return new PreparedKernel(
            DecodeAttention.Bind(
                device.Loader,
                device.Upload(q, rows, Heads * 2 * HeadDim),
                new KvPages<Bf16PageFormat, Bf16PageFormat>(
                    device.Upload(k).Cast<UInt4>(), device.Upload(v).Cast<UInt4>(), pages, KvHeads, HeadDim),
                new PagedRows(device.Upload(new int[rows]), device.Upload(positions), device.Upload(table, 1, pages)),
                Heads,
                device.Poisoned<float>(scratchRows, scratchColumns),
                device.Upload(new int[DecodeAttention.Tickets(rows, KvHeads)]),
                y),
            Bytes: 2L * length * KvHeads * HeadDim * sizeof(ushort),        // once, however many rows
            Flops: 4L * rows * Heads * HeadDim * length,
            () => Difference.Relative(
                device.Download(y.Data),
                AttentionReference.Run(
                    Array.ConvertAll(q, x => (double)x), InTokenOrder(k), InTokenOrder(v), positions, Heads, KvHeads, HeadDim)),
            Tolerance: 1e-4);

        // [page, kv head, 64, Hd] to [token, kv head, Hd]
        double[] InTokenOrder(ushort[] stored)
        {
            var values = new double[stored.Length];
            for (int token = 0; token < length; token++)
            {
                for (int i = 0; i < KvHeads * HeadDim; i++)
                {
                    int block = (table[token / KvCache.PageTokens] * KvHeads) + (i / HeadDim);
                    int place = (((block * KvCache.PageTokens) + (token % KvCache.PageTokens)) * HeadDim) + (i % HeadDim);
                    values[(token * KvHeads * HeadDim) + i] = Bf16.ToFloat(stored[place]);
                }
            }

            return values;
        }
    }
}
