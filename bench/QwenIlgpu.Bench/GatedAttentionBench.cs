using System.Runtime.CompilerServices;
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

    public static KernelBenchmark DecodeBf16 { get; } = Decode<ushort, Bf16PageFormat>("bf16", 24, 4, 1024);

    public static KernelBenchmark DecodeF32 { get; } = Decode<float, F32PageFormat>("f32", 24, 4, 1024);

    public static KernelBenchmark SmallDecode { get; } = Decode<ushort, Bf16PageFormat>("bf16", 8, 2, 1024);

    public static KernelBenchmark SmallLongDecode { get; } = Decode<ushort, Bf16PageFormat>("bf16", 8, 2, 8192);

    public static KernelBenchmark SmallLongDecodeF32 { get; } = Decode<float, F32PageFormat>("f32", 8, 2, 8192);

    public static KernelBenchmark SmallPrefill { get; } = Of<ushort, Bf16PageFormat>("bf16", 8, 2, 512, 512);

    private static KernelBenchmark Decode<TStorage, TFormat>(string type, int heads, int kvHeads, int length)
        where TStorage : unmanaged
        where TFormat : struct, IPageFormat<TStorage> => Of<TStorage, TFormat>(type, heads, kvHeads, length - 1, 1);

    // Rows at positions first … first + rows − 1.
    private static KernelBenchmark Of<TStorage, TFormat>(string type, int heads, int kvHeads, int first, int rows)
        where TStorage : unmanaged
        where TFormat : struct, IPageFormat<TStorage> =>
        new("gated_attention", $"{rows} row{(rows == 1 ? "" : "s")}, {heads}/{kvHeads} heads · 256, {first + rows} keys {type}", device =>
        {
            int length = first + rows;
            int pages = (length + KvCache.PageTokens - 1) / KvCache.PageTokens;
            int elements = pages * KvCache.PageTokens * kvHeads * HeadDim;
            long bytes = 2L * elements * Unsafe.SizeOf<TStorage>();
            float[] q = Seeded.Floats(1, (long)rows * heads * 2 * HeadDim, 4);
            TStorage[] k = Array.ConvertAll(Seeded.Floats(2, elements), TFormat.Store);
            TStorage[] v = Array.ConvertAll(Seeded.Floats(3, elements), TFormat.Store);
            int[] positions = [.. Enumerable.Range(first, rows)];
            (int scratchRows, int scratchColumns) = Kernels.GatedAttention.ScratchShape(rows, heads);
            Matrix<float> qMatrix = device.Upload(q, rows, heads * 2 * HeadDim);
            Matrix<float> y = device.Poisoned<float>(rows, heads * HeadDim);
            Matrix<float> scratch = device.Poisoned<float>(scratchRows, scratchColumns);
            ArrayView<int> slots = device.Upload(new int[rows]);
            Matrix<int> table = device.Upload(Enumerable.Range(0, pages).ToArray(), 1, pages);
            Launch[] layers =
            [
                .. Enumerable.Range(0, (int)Math.Max(1, LeastBytes / bytes)).Select(_ => Kernels.GatedAttention.Bind<TStorage, TFormat>(
                    device.Loader, qMatrix, new KvPages<TStorage>(device.Upload(k), device.Upload(v), pages, kvHeads, HeadDim),
                    new PagedRows(slots, device.Upload(positions), table), heads, scratch, y)),
            ];
            int next = 0;
            return new PreparedKernel(
                new Launch("gated_attention", 1, stream => layers[next++ % layers.Length].Run(stream)),
                Bytes: bytes,
                Flops: positions.Sum(position => 4L * heads * HeadDim * (position + 1)),
                () => Difference.Relative(
                    device.Download(y.Data)[..(heads * HeadDim)],
                    AttentionReference.Run(
                        Array.ConvertAll(q[..(heads * 2 * HeadDim)], x => (double)x), InTokenOrder(k, kvHeads), InTokenOrder(v, kvHeads), [first],
                        heads, kvHeads, HeadDim)),
                Tolerance: 1e-5);

            // [page, kv head, 64, Hd] to [token, kv head, Hd]
            static double[] InTokenOrder(TStorage[] pages, int kvHeads)
            {
                var rows = new double[pages.Length];
                for (int i = 0; i < pages.Length; i++)
                {
                    (int block, int inPage) = Math.DivRem(i / HeadDim, KvCache.PageTokens);
                    (int page, int head) = Math.DivRem(block, kvHeads);
                    rows[((((page * KvCache.PageTokens) + inPage) * kvHeads) + head) * HeadDim + (i % HeadDim)] = TFormat.Load(pages[i]);
                }

                return rows;
            }
        });
}
