using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class DecodeFeedbackBench
{
    public static KernelBenchmark Feed { get; } = new("feed_tokens", "64 rows, 48 layers with states", device =>
    {
        const int Rows = 64;
        const int Layers = 48;
        int[] numbers = [.. Enumerable.Range(0, Rows + 1)];
        var slots = new DecodeSlots(device.Upload(numbers), device.Upload(numbers), device.Upload(numbers), device.Upload(numbers));
        ArrayView<int> tokenIds = device.Poisoned<int>(Rows);
        int[] live = numbers[1..];
        return new PreparedKernel(
            DecodeFeedback.BindFeed(
                device.Loader, slots, device.Upload(live), tokenIds, device.Poisoned<int>(Rows), device.Poisoned<int>(Rows),
                device.Poisoned<int>(Layers * Rows), Rows),
            Bytes: (7L + Layers) * Rows * sizeof(int),
            Flops: 0,
            () => device.Download(tokenIds).SequenceEqual(live) ? 0 : 1,
            Tolerance: 0);
    });
}
