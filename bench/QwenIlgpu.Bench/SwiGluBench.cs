using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class SwiGluBench
{
    public static KernelBenchmark Prefill { get; } = new("swiglu", "gate, up [64, 17408]", device =>
    {
        const int T = 64;
        const int F = 17408;
        float[] gate = Seeded.Floats(10, T * F, 8);
        float[] up = Seeded.Floats(11, T * F);
        Matrix<float> y = device.Poisoned<float>(T, F);
        return new PreparedKernel(
            SwiGlu.Bind(device.Loader, device.Upload(gate, T, F), device.Upload(up, T, F), y),
            Bytes: 3L * T * F * sizeof(float),
            Flops: 5L * T * F,
            () => Difference.Relative(
                device.Download(y.Data), SwiGluReference.Run(Array.ConvertAll(gate, v => (double)v), Array.ConvertAll(up, v => (double)v))),
            Tolerance: 1e-6);
    });
}
