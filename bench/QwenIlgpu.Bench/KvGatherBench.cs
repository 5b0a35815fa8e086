using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class KvGatherBench
{
    public static KernelBenchmark Int4 { get; } = new("kv_gather", "k, v [512, 4·256] from int4", device =>
    {
        const int Rows = 512;
        const int KvHeads = 4;
        const int HeadDim = 256;
        const int Pages = Rows / KvCache.PageTokens;
        Matrix<int> table = device.Upload(Enumerable.Range(0, Pages).ToArray(), 1, Pages);
        KvPages<Int4PageFormat, Int4PageFormat> pages = FilledPages.Of<Int4PageFormat, Int4PageFormat>(device, Pages, KvHeads, HeadDim, table);
        Matrix<float> k = device.Poisoned<float>(Rows, KvHeads * HeadDim);
        Matrix<float> v = device.Poisoned<float>(Rows, KvHeads * HeadDim);
        return new PreparedKernel(
            KvGather.Bind(
                device.Loader, pages, new PagedRows(device.Upload(new int[Rows]), device.Upload([.. Enumerable.Range(0, Rows)]), table), k, v),
            Bytes: 2L * Rows * KvHeads * ((HeadDim * sizeof(float)) + Int4PageFormat.RowBytes(HeadDim) + Int4PageFormat.ScaleBytes),
            Flops: 0,
            () => Math.Max(Error(device.Download(k.Data), FilledPages.KeySeed), Error(device.Download(v.Data), FilledPages.ValueSeed)),

            // What 4 bits lose of a row of 256, turned: half of a 15th of its range, which is 6 times its root mean square.
            Tolerance: 0.4);

        // The root of the mean square beside it is a tenth; what is held against the rows here is each element.
        static double Error(float[] gathered, int seed) =>
            Difference.Relative(gathered, Array.ConvertAll(Seeded.Floats(seed, gathered.Length), x => (double)x));
    });
}
