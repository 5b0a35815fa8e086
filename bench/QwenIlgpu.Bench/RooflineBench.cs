using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

/// <summary>The device's own ceilings, by which other figures are judged: memory read only, and read and written.</summary>
internal static class RooflineBench
{
    // 1 GiB on a GPU exceeds its caches many times over, and so does 256 MiB on a CPU.
    private static int Words(BenchDevice device) => device.Accelerator.AcceleratorType == ILGPU.Runtime.AcceleratorType.Cuda ? 1 << 26 : 1 << 24;

    public static KernelBenchmark Copy { get; } = new("ceiling_copy", "16-byte words", device =>
    {
        int words = Words(device);
        ArrayView<UInt4> source = device.Poisoned<UInt4>(words);
        ArrayView<UInt4> target = device.Uninitialised<UInt4>(words);
        return new PreparedKernel(
            device.Loader.Bind(CopyWordsKernel.CopyWords, new CopyWordsKernel(source, target)),
            Bytes: 2L * words * 16,
            Flops: 0,
            () => device.Download(target.SubView(words - 1, 1))[0].W == uint.MaxValue ? 0 : 1,
            Tolerance: 0);
    });

    public static KernelBenchmark Read { get; } = new("ceiling_read", "16-byte words", device =>
    {
        int words = Words(device);
        int items = words / ReadWordsKernel.WordsPerItem;
        ArrayView<UInt4> source = device.Poisoned<UInt4>(words);
        ArrayView<uint> sums = device.Uninitialised<uint>(items);
        return new PreparedKernel(
            device.Loader.Bind(ReadWordsKernel.ReadWords, new ReadWordsKernel(source, sums)),
            Bytes: (long)words * 16,
            Flops: 0,
            () => device.Download(sums).All(s => s == unchecked((uint)-ReadWordsKernel.WordsPerItem)) ? 0 : 1,
            Tolerance: 0);
    });
}
