using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>The portable kernels of quantised weights on OpenCL: zero points that are not there, bytes, nested type arguments.</summary>
[NonParallelizable]
internal sealed class QuantizedOpenClTests
{
    private const int N = 37;
    private const int K = 200;

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    [TestCase(64, false)]
    [TestCase(32, true)]
    public void PacksAndMultipliesInt4(int groupSize, bool hasZeros)
    {
        TestDevice device = WarpDevice.Named(WarpDevice.Usual);
        CheckpointFormat format = CheckpointFormat.All[2];
        Int4Source source = format.Random(N, K, groupSize, WeightType.F16, hasZeros);
        float[] x = [.. Enumerable.Range(0, 5 * K).Select(i => MathF.Sin(i))];
        Matrix<float> y = device.Poisoned<float>(5, N);

        Int4Matrix packed = format.Pack(device, source, N, K, groupSize, WeightType.F16, blockTiles: 1);
        device.Run(DequantMatMul.Bind(device.Loader, device.Upload(x, 5, K), packed, y));

        double[] weights = format.Reference.Weights(source, WeightType.F16, N, K, groupSize);
        MatMulBound.Assert(device.Download(y), Array.ConvertAll(x, v => (double)v), weights, 5, N, K);
    }

    [Test]
    public void QuantisesReadsAndMultipliesInt8()
    {
        TestDevice device = WarpDevice.Named(WarpDevice.Usual);
        float[] plain = [.. Enumerable.Range(0, N * K).Select(i => MathF.Sin(i * 0.7f))];
        UInt4[] words = DenseMatrixReference.Pack(WeightType.F32, plain, N, K);
        float[] x = [.. Enumerable.Range(0, 5 * K).Select(i => MathF.Sin(i))];
        Int8Matrix packed = Quantized.PoisonedInt8(device, N, K, Int8Layout.RowGroup(K), WeightType.Bf16);
        Matrix<float> y = device.Poisoned<float>(5, N);
        Matrix<float> rows = device.Poisoned<float>(2, K);

        device.Run(
            RoundToNearestInt8.Bind(device.Loader, new DenseMatrix(WeightType.F32, device.Upload(words), N, K), 0, packed),
            DequantMatMul.Bind(device.Loader, device.Upload(x, 5, K), packed, y),
            Embedding.Bind(device.Loader, device.Upload(36, 3), packed, rows));

        Int8Reference expected = Int8Reference.FromWeights(
            Array.ConvertAll(plain, v => (double)v), N, K, Int8Layout.RowGroup(K), WeightType.Bf16);
        Assert.That(device.Download(packed.Codes), Is.EqualTo(expected.Codes));
        Assert.That(device.Download(packed.Scales), Is.EqualTo(expected.Scales));
        double[] weights = expected.Unpack(WeightType.Bf16);
        MatMulBound.Assert(device.Download(y), Array.ConvertAll(x, v => (double)v), weights, 5, N, K);
        Assert.That(
            device.Download(rows), Is.EqualTo(weights[(36 * K)..].Concat(weights[(3 * K)..(4 * K)]).Select(v => (float)v)));
    }
}
