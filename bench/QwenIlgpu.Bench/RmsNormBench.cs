using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class RmsNormBench
{
    public static KernelBenchmark Prefill { get; } = new("rms_norm", "x [512, 5120]", device =>
    {
        const int Rows = 512;
        const int Columns = 5120;
        const float Eps = 1e-6f;
        float[] x = Seeded.Floats(1, Rows * Columns);
        float[] weight = Seeded.Floats(2, Columns);
        Matrix<float> y = device.Poisoned<float>(Rows, Columns);
        return new PreparedKernel(
            RmsNorm.Bind(device.Loader, device.Upload(x, Rows, Columns), device.Upload(weight), y, Eps),
            Bytes: (2L * Rows * Columns + Columns) * sizeof(float),
            Flops: 4L * Rows * Columns,
            () => Difference.Relative(
                device.Download(y.Data), RmsNormReference.Run(Array.ConvertAll(x, v => (double)v), Array.ConvertAll(weight, v => (double)v), Rows, Eps)),
            Tolerance: 1e-5);
    });
}
