using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class KvAppendBench
{
    public static KernelBenchmark Prefill { get; } = new("kv_append", "k, v [512, 4·256] to bf16", device =>
    {
        const int Rows = 512;
        const int KvHeads = 4;
        const int HeadDim = 256;
        const int Pages = Rows / KvCache.PageTokens;
        const long Elements = (long)Rows * KvHeads * HeadDim;
        float[] k = Seeded.Floats(1, Elements);
        float[] v = Seeded.Floats(2, Elements);
        ArrayView<ushort> keys = device.Poisoned<ushort>(Elements);
        ArrayView<ushort> values = device.Poisoned<ushort>(Elements);
        return new PreparedKernel(
            KvAppend.Bind(
                device.Loader,
                device.Upload(k, Rows, KvHeads * HeadDim),
                device.Upload(v, Rows, KvHeads * HeadDim),
                new KvPages<Bf16PageFormat, Bf16PageFormat>(keys.Cast<UInt4>(), values.Cast<UInt4>(), Pages, KvHeads, HeadDim),
                new PagedRows(
                    device.Upload(new int[Rows]),
                    device.Upload(Enumerable.Range(0, Rows).ToArray()),
                    device.Upload(Enumerable.Range(0, Pages).ToArray(), 1, Pages))),
            Bytes: 2L * Elements * (sizeof(float) + sizeof(ushort)),
            Flops: 0,
            () => Math.Max(Error(device.Download(keys), k), Error(device.Download(values), v)),
            Tolerance: 0);

        // Page p of the table is page p: [page, kv head, 64, Hd].
        static double Error(ushort[] pages, float[] rows)
        {
            var expected = new double[rows.Length];
            for (int i = 0; i < rows.Length; i++)
            {
                (int token, int head) = Math.DivRem(i / HeadDim, KvHeads);
                (int page, int inPage) = Math.DivRem(token, KvCache.PageTokens);
                expected[((((page * KvHeads) + head) * KvCache.PageTokens) + inPage) * HeadDim + (i % HeadDim)] =
                    Bf16.ToFloat(Bf16.FromFloat(rows[i]));
            }

            return Difference.Relative(Array.ConvertAll(pages, Bf16.ToFloat), expected);
        }
    });
}
