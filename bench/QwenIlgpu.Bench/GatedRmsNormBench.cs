using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class GatedRmsNormBench
{
    public static KernelBenchmark Prefill { get; } = new("gated_rms_norm", "x [64, 48 · 128]", device =>
    {
        const int Rows = 64;
        const int HeadDim = 128;
        const int Columns = 48 * HeadDim;
        const float Eps = 1e-6f;
        float[] x = Seeded.Floats(1, Rows * Columns);
        float[] z = Seeded.Floats(2, Rows * Columns, 4);
        float[] weight = Seeded.Floats(3, HeadDim);
        Matrix<float> y = device.Poisoned<float>(Rows, Columns);
        return new PreparedKernel(
            GatedRmsNorm.Bind(
                device.Loader, device.Upload(x, Rows, Columns), device.Upload(z, Rows, Columns), device.Upload(weight), HeadDim, y, Eps),
            Bytes: 3L * Rows * Columns * sizeof(float),
            Flops: 8L * Rows * Columns,
            () => Difference.Relative(
                device.Download(y.Data),
                GatedRmsNormReference.Run(Seeded.ToDouble(x), Seeded.ToDouble(z), Seeded.ToDouble(weight), Eps)),
            Tolerance: 1e-6);
    });
}
