using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

/// <summary>The two elementwise ops before the gated delta rule.</summary>
internal static class DeltaInputsBench
{
    private const int Rows = 64;

    public static KernelBenchmark Gates { get; } = new("delta_gates", "b, a [64, 48]", device =>
    {
        const int Heads = 48;
        float[] b = Seeded.Floats(1, Rows * Heads, 4);
        float[] a = Seeded.Floats(2, Rows * Heads, 4);
        float[] aLog = Seeded.Floats(3, Heads);
        float[] dtBias = Seeded.Floats(4, Heads);
        Matrix<float> beta = device.Poisoned<float>(Rows, Heads);
        Matrix<float> g = device.Poisoned<float>(Rows, Heads);
        return new PreparedKernel(
            DeltaGates.Bind(
                device.Loader,
                device.Upload(b, Rows, Heads),
                device.Upload(a, Rows, Heads),
                device.Upload(aLog),
                device.Upload(dtBias),
                beta,
                g),
            Bytes: 4L * Rows * Heads * sizeof(float),
            Flops: 30L * Rows * Heads,
            () =>
            {
                (double[] Beta, double[] G) expected = DeltaGatesReference.Run(Seeded.ToDouble(b), Seeded.ToDouble(a), Seeded.ToDouble(aLog), Seeded.ToDouble(dtBias));
                return Math.Max(
                    Difference.Relative(device.Download(beta.Data), expected.Beta),
                    Difference.Relative(device.Download(g.Data), expected.G));
            },
            Tolerance: 1e-6);
    });

    // In place: the timed runs normalise what is normalised already, at the same cost.
    public static KernelBenchmark L2Norm { get; } = new("qk_l2_norm", "qkv [64, 10240], 16 heads of 128", device =>
    {
        const int Channels = 10240;
        const int Heads = 16;
        const int HeadDim = 128;
        float[] qkv = Seeded.Floats(5, Rows * Channels);
        Matrix<float> y = device.Upload((float[])qkv.Clone(), Rows, Channels);
        return new PreparedKernel(
            QkL2Norm.Bind(device.Loader, y, Heads, HeadDim),
            Bytes: 2L * Rows * 2 * Heads * HeadDim * sizeof(float),
            Flops: 3L * Rows * 2 * Heads * HeadDim,
            () => Difference.Relative(device.Download(y.Data), QkL2NormReference.Run(Seeded.ToDouble(qkv), Channels, Heads, HeadDim)),
            Tolerance: 1e-6);
    });
}
