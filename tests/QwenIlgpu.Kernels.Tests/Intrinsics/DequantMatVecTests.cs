using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>The INT4 matvec of one token: toy shapes on the CPU accelerator, real slices on PoCL.</summary>
[NonParallelizable]
internal sealed class DequantMatVecTests
{
    // [N, K, G]: fewer tiles than warps, tails inside a tile and a group, more than one slice of x; 48 rows of real inner lengths.
    private static IEnumerable<TestCaseData> Shapes() => TestDevice.Kind == "cuda"
        ? [new("cuda", 37, 130, 64), new("cuda", 5120, 5120, 128), new("cuda", 5120, 17408, 128)]
        :
        [
            new("cpu", 16, 128, 128), new("cpu", 37, 1100, 64),
            new("pocl", 37, 130, 64), new("pocl", 23, 4232, 64), new("pocl", 256, 5120, 128), new("pocl", 48, 17408, 128),
        ];

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    [TestCaseSource(nameof(Shapes))]
    public void MatchesReferenceWithF16Scales(string deviceName, int n, int k, int groupSize) =>
        MatchesReference<F16Format>(deviceName, WeightType.F16, n, k, groupSize);

    [TestCaseSource(nameof(Shapes))]
    public void MatchesReferenceWithBf16Scales(string deviceName, int n, int k, int groupSize) =>
        MatchesReference<Bf16Format>(deviceName, WeightType.Bf16, n, k, groupSize);

    // Unit x at one k reads one column of W out exactly: a wrong (row, k), group or scale index shows.
    [Test]
    public void ReadsEveryWeightExactly()
    {
        const int N = 33;
        const int K = 320;
        TestDevice device = WarpDevice.Named(TestDevice.Kind == "cuda" ? "cuda" : "pocl");
        Int4Reference w = Int4Reference.FromWeights(Weights(N, K), N, K, 64, WeightType.F16);
        double[] weights = w.Unpack(WeightType.F16);
        for (int k = 0; k < K; k++)
        {
            var x = new float[K];
            x[k] = 1;

            float[] y = Run<F16Format>(device, w, x);

            Assert.That(y, Is.EqualTo(Enumerable.Range(0, N).Select(row => (float)weights[(row * K) + k])), $"k = {k}");
            WarpDevice.ReleaseBuffers();
        }
    }

    private static void MatchesReference<TScale>(string deviceName, WeightType scaleType, int n, int k, int groupSize)
        where TScale : struct, INumberFormat<ushort>
    {
        TestDevice device = WarpDevice.Named(deviceName);
        Int4Reference w = Int4Reference.FromWeights(Weights(n, k), n, k, groupSize, scaleType);
        var random = new Random(n + k);
        float[] x = [.. Enumerable.Range(0, k).Select(_ => F16.ToFloat(F16.FromFloat(random.NextSingle() - 0.5f)))];

        float[] y = Run<TScale>(device, w, x);

        double[] weights = w.Unpack(scaleType);
        double[] xs = Array.ConvertAll(x, v => (double)v);
        double[] expected = DenseMatMulReference.Run(xs, weights, 1, n, k);
        double[] magnitude = DenseMatMulReference.Run(Array.ConvertAll(xs, Math.Abs), Array.ConvertAll(weights, Math.Abs), 1, n, k);

        // Eight sums in f16, each rounded to 2^-11 of at most the chain's Σ|w·x|, half of that on the average; f32 roundings vanish
        // beside them.
        for (int row = 0; row < n; row++)
        {
            double bound = 8.0 / (1 << 11) * magnitude[row];
            Assert.That(Math.Abs(y[row] - expected[row]), Is.LessThanOrEqualTo(bound), $"row {row}: {y[row]} instead of {expected[row]}");
        }
    }

    private static float[] Run<TScale>(TestDevice device, Int4Reference w, float[] x)
        where TScale : struct, INumberFormat<ushort>
    {
        var pairs = new uint[(x.Length + 1) / 2];
        for (int k = 0; k < x.Length; k++)
            pairs[k / 2] |= (uint)F16.FromFloat(x[k]) << (16 * (k % 2));
        ArrayView<float> y = device.Poisoned<float>(w.Rows);
        var kernel = new DequantMatVecKernel<TScale>(
            device.Upload(w.Codes), device.Upload(w.Scales), device.Upload(pairs), y,
            Int4Layout.ColumnTiles(w.Columns, w.GroupSize), w.GroupSize / Int4Layout.TileColumns);

        device.Run(DequantMatVecKernel<TScale>.DequantMatVec, kernel.Config, kernel);

        return device.Download(y);
    }

    private static double[] Weights(int n, int k)
    {
        var random = new Random(n * k);
        return [.. Enumerable.Range(0, n * k).Select(_ => (double)((random.NextSingle() * 2) - 1))];
    }
}
