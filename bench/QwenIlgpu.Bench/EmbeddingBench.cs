using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class EmbeddingBench
{
    public static KernelBenchmark Prefill { get; } = new("embedding", "512 ids, bf16 [4096 of 248320, 5120]", device =>
    {
        const int Vocab = 4096;
        const int D = 5120;
        const int T = 512;
        var random = new Random(8);
        int[] ids = [.. Enumerable.Range(0, T).Select(_ => random.Next(Vocab))];
        UInt4[] words = DenseReference.Pack(WeightType.Bf16, Seeded.Floats(9, (long)Vocab * D), Vocab, D);
        Matrix<float> y = device.Poisoned<float>(T, D);
        return new PreparedKernel(
            Embedding.Bind(device.Loader, device.Upload(ids), WeightMatrix.Dense(WeightType.Bf16, device.Upload(words), Vocab, D), y),
            Bytes: (long)T * D * (sizeof(ushort) + sizeof(float)),
            Flops: 0,
            () =>
            {
                int stride = words.Length / Vocab;
                UInt4[] gathered = [.. ids.SelectMany(id => words.AsSpan(id * stride, stride).ToArray())];
                return Difference.Relative(device.Download(y.Data), DenseReference.Unpack(WeightType.Bf16, gathered, T, D));
            },
            Tolerance: 0);
    });
}
