using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class GatedAttentionBench
{
    public static KernelBenchmark DecodeBf16 { get; } = new(
        "gated_attention", "1 row, 24/4 heads · 256, 1024 keys bf16", device => Decode<ushort, Bf16Format>(device));

    public static KernelBenchmark DecodeF32 { get; } = new(
        "gated_attention", "1 row, 24/4 heads · 256, 1024 keys f32", device => Decode<float, F32Format>(device));

    private static PreparedKernel Decode<TStorage, TFormat>(BenchDevice device)
        where TStorage : unmanaged
        where TFormat : struct, INumberFormat<TStorage>
    {
        const int Heads = 24;
        const int KvHeads = 4;
        const int HeadDim = 256;
        const int Length = 1024;
        const int Pages = Length / KvCache.PageTokens;
        float[] q = BenchDevice.RandomFloats(1, Heads * 2 * HeadDim, 4);
        TStorage[] k = Array.ConvertAll(BenchDevice.RandomFloats(2, Length * KvHeads * HeadDim), TFormat.Store);
        TStorage[] v = Array.ConvertAll(BenchDevice.RandomFloats(3, Length * KvHeads * HeadDim), TFormat.Store);
        (int rows, int columns) = Kernels.GatedAttention.ScratchShape(1, Heads);
        Matrix<float> y = device.Poisoned<float>(1, Heads * HeadDim);
        return new PreparedKernel(
            Kernels.GatedAttention.Bind<TStorage, TFormat>(
                device.Loader,
                device.Upload(q, 1, Heads * 2 * HeadDim),
                new KvPages<TStorage>(device.Upload(k), device.Upload(v), Pages, KvHeads, HeadDim),
                device.Upload(new int[1]),
                device.Upload(new[] { Length - 1 }),
                device.Upload(Enumerable.Range(0, Pages).ToArray(), 1, Pages),
                Heads,
                HeadDim,
                device.Poisoned<float>(rows, columns),
                y),
            Bytes: 2L * k.Length * System.Runtime.CompilerServices.Unsafe.SizeOf<TStorage>(),
            Flops: 4L * Heads * HeadDim * Length,
            () => BenchDevice.RelativeError(
                device.Download(y.Data),
                AttentionReference.Run(
                    Array.ConvertAll(q, x => (double)x), InTokenOrder(k), InTokenOrder(v), [Length - 1], Heads, KvHeads, HeadDim)),
            Tolerance: 1e-5);

        // [page, kv head, 64, Hd] to [token, kv head, Hd]
        static double[] InTokenOrder(TStorage[] pages)
        {
            var rows = new double[pages.Length];
            for (int i = 0; i < pages.Length; i++)
            {
                (int block, int inPage) = Math.DivRem(i / HeadDim, KvCache.PageTokens);
                (int page, int head) = Math.DivRem(block, KvHeads);
                rows[((((page * KvCache.PageTokens) + inPage) * KvHeads) + head) * HeadDim + (i % HeadDim)] = TFormat.Load(pages[i]);
            }

            return rows;
        }
    }
}
