using System.Runtime.InteropServices;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class QuantizationBench
{
    private const int K = 5120;
    private const int N = 2048;
    private const int Group = 128;

    public static KernelBenchmark Gptq { get; } = new("gptq_pack", "2048 rows of 17408, K 5120", device =>
    {
        var qweight = new int[K / 8 * N];
        new Random(6).NextBytes(MemoryMarshal.AsBytes(qweight.AsSpan()));
        WeightMatrix packed = Poisoned(device);
        return new PreparedKernel(
            GptqPack.Bind(device.Loader, device.Upload(qweight, K / 8, N), 0, packed),
            Bytes: 2 * Int4Layout.CodeBytes(N, K, Group),
            Flops: 0,
            () =>
            {
                var source = new Int4Source(qweight, new ushort[K / Group * N], []);
                Int4Reference expected = Int4SourceReference.GptqV1.Pack(source, N, K, Group);
                return Difference(device.Download(packed.Data), expected.Codes);
            },
            Tolerance: 0);
    });

    public static KernelBenchmark RoundToNearest { get; } = new("round_to_nearest_int4", "bf16, 2048 rows of 17408, K 5120", device =>
    {
        UInt4[] words = DenseReference.Pack(WeightType.Bf16, Seeded.Floats(7, (long)N * K), N, K);
        WeightMatrix packed = Poisoned(device);
        return new PreparedKernel(
            RoundToNearestInt4.Bind(device.Loader, WeightMatrix.Dense(WeightType.Bf16, device.Upload(words), N, K), 0, packed),
            Bytes: DenseLayout.Bytes(WeightType.Bf16, N, K) + Int4Layout.CodeBytes(N, K, Group) + Int4Layout.ScaleBytes(N, K, Group),
            Flops: 0,
            () =>
            {
                double[] weights = DenseReference.Unpack(WeightType.Bf16, words, N, K);
                Int4Reference expected = Int4Reference.FromWeights(weights, N, K, Group, WeightType.Bf16);
                return Difference(device.Download(packed.Data), expected.Codes)
                    + (device.Download(packed.Scales).AsSpan().SequenceEqual(expected.Scales) ? 0 : 1);
            },
            Tolerance: 0);
    });

    public static KernelBenchmark Awq { get; } = new("awq_pack", "2048 rows of 17408, K 5120", device =>
    {
        var qweight = new int[K * N / 8];
        new Random(8).NextBytes(MemoryMarshal.AsBytes(qweight.AsSpan()));
        WeightMatrix packed = Poisoned(device);
        return new PreparedKernel(
            AwqPack.Bind(device.Loader, device.Upload(qweight, K, N / 8), 0, packed),
            Bytes: 2 * Int4Layout.CodeBytes(N, K, Group),
            Flops: 0,
            () =>
            {
                var source = new Int4Source(qweight, new ushort[K / Group * N], []);
                return Difference(device.Download(packed.Data), Int4SourceReference.Awq.Pack(source, N, K, Group).Codes);
            },
            Tolerance: 0);
    });

    public static KernelBenchmark RoundToNearestInt8Rows { get; } = new("round_to_nearest_int8", "bf16, 2048 rows of lm_head, K 5120", device =>
    {
        UInt4[] words = DenseReference.Pack(WeightType.Bf16, Seeded.Floats(7, (long)N * K), N, K);
        var packed = WeightMatrix.Int8(
            device.Poisoned<UInt4>(Int8Layout.CodeBytes(N, K, Group) / 16),
            device.Poisoned<ushort>(Int8Layout.ScaleBytes(N, K, Group) / sizeof(ushort)),
            WeightType.Bf16,
            N,
            K,
            Group);
        return new PreparedKernel(
            RoundToNearestInt8.Bind(device.Loader, WeightMatrix.Dense(WeightType.Bf16, device.Upload(words), N, K), 0, packed),
            Bytes: DenseLayout.Bytes(WeightType.Bf16, N, K) + Int8Layout.CodeBytes(N, K, Group) + Int8Layout.ScaleBytes(N, K, Group),
            Flops: 0,
            () =>
            {
                double[] weights = DenseReference.Unpack(WeightType.Bf16, words, N, K);
                Int8Reference expected = Int8Reference.FromWeights(weights, N, K, Group, WeightType.Bf16);
                return Difference(device.Download(packed.Data), expected.Codes)
                    + (device.Download(packed.Scales).AsSpan().SequenceEqual(expected.Scales) ? 0 : 1);
            },
            Tolerance: 0);
    });

    // The share of 16-byte words that differ: packing is exact.
    private static double Difference(UInt4[] actual, UInt4[] expected) =>
        actual.Zip(expected).Count(p => !p.First.Equals(p.Second)) / (double)expected.Length;

    private static WeightMatrix Poisoned(BenchDevice device) => WeightMatrix.Int4(
        device.Poisoned<UInt4>(Int4Layout.CodeBytes(N, K, Group) / 16),
        device.Poisoned<ushort>(Int4Layout.ScaleBytes(N, K, Group) / sizeof(ushort)),
        default,
        WeightType.Bf16,
        N,
        K,
        Group);
}
