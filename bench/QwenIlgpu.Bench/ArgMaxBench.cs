using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class ArgMaxBench
{
    public static KernelBenchmark Vocabulary { get; } = new("arg_max", "[1, 248320]", device =>
    {
        const int Columns = 248_320;
        float[] logits = Seeded.Floats(1, Columns, 12);
        SamplingScratch scratch = SamplingScratch.In(device.Poisoned<byte>(SamplingScratch.SizeInBytes(1)), 1);
        ArrayView<int> ids = device.Poisoned<int>(1);
        Launch[] launches = ArgMax.Bind(device.Loader, device.Upload(logits, 1, Columns), Columns, scratch, ids);
        return new PreparedKernel(
            new Launch("arg_max", 1, stream => Array.ForEach(launches, launch => launch.Run(stream))),
            Bytes: Columns * sizeof(float),
            Flops: 0,
            () => device.Download(ids)[0] == Array.IndexOf(logits, logits.Max()) ? 0 : 1,
            Tolerance: 0);
    });
}
