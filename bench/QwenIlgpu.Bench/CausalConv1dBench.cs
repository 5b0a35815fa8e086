using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class CausalConv1dBench
{
    private const int Channels = 10240;
    private const int Taps = 4;

    public static KernelBenchmark Decode { get; } = new("causal_conv1d", "x [1, 10240], 4 taps", device => Prepare(device, 1));

    public static KernelBenchmark Prefill { get; } = new("causal_conv1d", "x [128, 10240], 4 taps", device => Prepare(device, 128));

    private static PreparedKernel Prepare(BenchDevice device, int rows)
    {
        float[] x = BenchDevice.RandomFloats(1, rows * Channels);
        float[] weight = BenchDevice.RandomFloats(2, Channels * Taps);
        Matrix<float> y = device.Poisoned<float>(rows, Channels);
        Launch launch = CausalConv1d.Bind(
            device.Loader,
            device.Upload(x, rows, Channels),
            device.Upload(weight, Channels, Taps),
            device.Poisoned<float>(1, Taps * Channels),
            device.Upload<int>([0, rows]),
            device.Upload<int>([.. Enumerable.Range(0, rows)]),
            device.Upload<int>([0]),
            y);
        return new PreparedKernel(
            launch,
            Bytes: ((2L * rows) + Taps + Taps - 1) * Channels * sizeof(float),
            Flops: 2L * Taps * rows * Channels,
            () => BenchDevice.RelativeError(
                device.Download(y.Data),
                CausalConv1dReference.Run(Array.ConvertAll(x, v => (double)v), Array.ConvertAll(weight, v => (double)v), Channels)),
            Tolerance: 2e-6);
    }
}
