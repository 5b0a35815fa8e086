using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

/// <summary>
/// Attention of one row over a context, and of a prompt's chunk behind another. Each run has pages of its own, as each layer of a model
/// has: together more than any cache holds.
/// </summary>
internal static class GatedAttentionBench
{
    private const int HeadDim = 256;
    private const long LeastBytes = 256L << 20;

    public static KernelBenchmark DecodeBf16 { get; } = Decode<Bf16PageFormat, Bf16PageFormat>("bf16", 24, 4, 1024);

    public static KernelBenchmark DecodeF32 { get; } = Decode<F32PageFormat, F32PageFormat>("f32", 24, 4, 1024);

    /// <summary>The heads of the smallest model, over a short context and a long one, a row per type of cache.</summary>
    public static IReadOnlyList<KernelBenchmark> SmallDecode { get; } =
    [
        .. new[] { 1024, 16_384 }.SelectMany(length => new[]
        {
            Decode<F32PageFormat, F32PageFormat>("f32", 8, 2, length),
            Decode<Bf16PageFormat, Bf16PageFormat>("bf16", 8, 2, length),
            Decode<Int8PageFormat, Int8PageFormat>("int8", 8, 2, length),
            Decode<Int8PageFormat, Int4PageFormat>("k8v4", 8, 2, length),
            Decode<Int4PageFormat, Int4PageFormat>("int4", 8, 2, length),
        }),
    ];

    public static KernelBenchmark SmallPrefill { get; } = Of<Bf16PageFormat, Bf16PageFormat>("bf16", 8, 2, 512, 512);

    public static KernelBenchmark SmallPrefillInt4 { get; } = Of<Int4PageFormat, Int4PageFormat>("int4", 8, 2, 512, 512);

    private static KernelBenchmark Decode<TKeys, TValues>(string type, int heads, int kvHeads, int length)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat => Of<TKeys, TValues>(type, heads, kvHeads, length - 1, 1);

    // Rows at positions first … first + rows − 1.
    private static KernelBenchmark Of<TKeys, TValues>(string type, int heads, int kvHeads, int first, int rows)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat =>
        new("gated_attention", $"{rows} row{(rows == 1 ? "" : "s")}, {heads}/{kvHeads} heads · 256, {first + rows} keys {type}", device =>
        {
            int length = first + rows;
            int pages = (length + KvCache.PageTokens - 1) / KvCache.PageTokens;
            long bytes = 16L * pages * kvHeads * (PageBlock.Words<TKeys>(HeadDim) + PageBlock.Words<TValues>(HeadDim));
            float[] q = Seeded.Floats(1, (long)rows * heads * 2 * HeadDim, 4);
            int[] positions = [.. Enumerable.Range(first, rows)];
            (int scratchRows, int scratchColumns) = Kernels.GatedAttention.ScratchShape<TKeys>(rows, heads, HeadDim);
            Matrix<float> qMatrix = device.Upload(q, rows, heads * 2 * HeadDim);
            Matrix<float> y = device.Poisoned<float>(rows, heads * HeadDim);
            Matrix<float> scratch = device.Poisoned<float>(scratchRows, scratchColumns);
            ArrayView<int> slots = device.Upload(new int[rows]);
            Matrix<int> table = device.Upload(Enumerable.Range(0, pages).ToArray(), 1, pages);
            KvPages<TKeys, TValues> filled = FilledPages.Of<TKeys, TValues>(device, pages, kvHeads, HeadDim, table);
            (UInt4[] keys, UInt4[] values) = (device.Download(filled.Keys), device.Download(filled.Values));
            Launch[] layers =
            [
                .. Enumerable.Range(0, (int)Math.Max(1, LeastBytes / bytes)).Select(_ => Kernels.GatedAttention.Bind(
                    device.Loader, qMatrix,
                    new KvPages<TKeys, TValues>(device.Upload(keys), device.Upload(values), pages, kvHeads, HeadDim),
                    new PagedRows(slots, device.Upload(positions), table), heads, scratch, y)),
            ];
            int next = 0;
            return new PreparedKernel(
                new Launch("gated_attention", 1, stream => layers[next++ % layers.Length].Run(stream)),
                Bytes: bytes,
                Flops: positions.Sum(position => 4L * heads * HeadDim * (position + 1)),
                () =>
                {
                    (double[] k, double[] v) = FilledPages.Read(device, filled, table, length);
                    return Difference.Relative(
                        device.Download(y.Data)[..(heads * HeadDim)],
                        AttentionReference.Run(
                            Array.ConvertAll(q[..(heads * 2 * HeadDim)], x => (double)x), k, v, [first], heads, kvHeads, HeadDim));
                },
                Tolerance: KvPages<TKeys, TValues>.AreQuantized ? 1e-3 : 1e-5);       // codes meet queries and weights of 15 bits
        });
}
