using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

/// <summary>One sequence. In decode each run has taps and a ring of its own, as each layer has: together more than any cache holds.</summary>
internal static class CausalConv1dBench
{
    private const long LeastFloats = 64L << 20;
    private const int Channels = 10240;
    private const int Taps = 4;

    public static KernelBenchmark Decode { get; } = new("causal_conv1d", "x [1, 10240], 4 taps", device => Prepare(device, 1));

    public static KernelBenchmark Prefill { get; } = new("causal_conv1d", "x [128, 10240], 4 taps", device => Prepare(device, 128));

    private static PreparedKernel Prepare(BenchDevice device, int rows)
    {
        // The rows before are zeros, as in the reference, and read all the same.
        const int Position = 2 * Taps;
        int layers = rows == 1 ? (int)(LeastFloats / (2 * Taps * Channels)) : 1;
        float[] x = Seeded.Floats(1, rows * Channels);
        float[] weight = Seeded.Floats(2, Channels * Taps);
        Matrix<float> input = device.Upload(x, rows, Channels);
        Matrix<float> y = device.Poisoned<float>(rows, Channels);
        Matrix<float> rings = device.Upload(new float[layers * Taps * Channels], layers, Taps * Channels);
        Launch[] launches =
        [
            .. Enumerable.Range(0, layers).Select(layer => CausalConv1d.Bind(
                device.Loader, input, device.Upload(weight, Channels, Taps), rings,
                device.UploadRows([0, rows], [.. Enumerable.Range(Position, rows)], [layer]), y)),
        ];
        int next = 0;
        return new PreparedKernel(
            new Launch(launches[0].Name, threads: 1, stream => launches[next++ % layers].Run(stream)),
            Bytes: ((2L * rows) + Taps + (Taps - 1) + Math.Min(rows, Taps)) * Channels * sizeof(float),
            Flops: 2L * Taps * rows * Channels,
            () => Difference.Relative(
                device.Download(y.Data),
                CausalConv1dReference.Run(Array.ConvertAll(x, v => (double)v), Array.ConvertAll(weight, v => (double)v), Channels)),
            Tolerance: 2e-6);
    }
}
