using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

/// <summary>The two elementwise ops before the gated delta rule.</summary>
internal static class DeltaInputsBench
{
    private const int Rows = 64;

    public static KernelBenchmark Gates { get; } = new("delta_gates", "b, a [64, 48]", device =>
    {
        const int Heads = 48;
        float[] b = BenchDevice.RandomFloats(1, Rows * Heads, 4);
        float[] a = BenchDevice.RandomFloats(2, Rows * Heads, 4);
        float[] aLog = BenchDevice.RandomFloats(3, Heads);
        float[] dtBias = BenchDevice.RandomFloats(4, Heads);
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
                (double[] Beta, double[] G) expected = DeltaGatesReference.Run(ToDouble(b), ToDouble(a), ToDouble(aLog), ToDouble(dtBias));
                return Math.Max(
                    BenchDevice.RelativeError(device.Download(beta.Data), expected.Beta),
                    BenchDevice.RelativeError(device.Download(g.Data), expected.G));
            },
            Tolerance: 1e-6);
    });

    // In place: the timed runs normalise what is normalised already, at the same cost.
    public static KernelBenchmark L2Norm { get; } = new("qk_l2_norm", "qkv [64, 10240], 16 heads of 128", device =>
    {
        const int Channels = 10240;
        const int Heads = 16;
        const int HeadDim = 128;
        float[] qkv = BenchDevice.RandomFloats(5, Rows * Channels);
        Matrix<float> y = device.Upload((float[])qkv.Clone(), Rows, Channels);
        return new PreparedKernel(
            QkL2Norm.Bind(device.Loader, y, Heads, HeadDim),
            Bytes: 2L * Rows * 2 * Heads * HeadDim * sizeof(float),
            Flops: 3L * Rows * 2 * Heads * HeadDim,
            () => BenchDevice.RelativeError(device.Download(y.Data), QkL2NormReference.Run(ToDouble(qkv), Channels, Heads, HeadDim)),
            Tolerance: 1e-6);
    });

    private static double[] ToDouble(float[] values) => Array.ConvertAll(values, v => (double)v);
}
