using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

internal sealed class DenseMatMulTests(PortableTier tier) : PortableTests(tier)
{
    // [N, K]: one element, K tails of every length class, N off the tile of four rows, primes, and 48 rows of 5120 (in_proj_b).
    private static readonly (int N, int K)[] Shapes = [(1, 1), (2, 4), (5, 12), (13, 31), (17, 127), (31, 129), (6, 1000), (48, 5120)];

    private static IEnumerable<TestCaseData> Cases() =>
        from type in Enum.GetValues<WeightType>()
        from shape in Shapes
        from m in new[] { 1, 3, 4, 6 }
        select new TestCaseData(type, m, shape.N, shape.K);

    [TestCaseSource(nameof(Cases))]
    public void MatchesReference(object weightType, int m, int n, int k)
    {
        var type = (WeightType)weightType;
        float[] x = Seeded.Floats(m + n + k, m * k);
        UInt4[] packed = DenseReference.Pack(type, Seeded.Floats(n - k, n * k), n, k);
        Matrix<float> y = Device.Poisoned<float>(m, n);

        Device.Run(PortableMatMul.Bind(Device.Loader, Device.Upload(x, m, k), WeightMatrix.Dense(type, Device.Upload(packed), n, k), y));

        MatMulBound.Assert(Device.Download(y), Seeded.ToDouble(x), DenseReference.Unpack(type, packed, n, k), m, n, k);
    }

    [TestCase(35, 515)]
    [TestCase(48, 5120)]
    public void KeepsTheBitsOfARowInABatch(int n, int k)
    {
        const int M = 11;
        float[] x = Seeded.Floats(n, M * k);
        var w = WeightMatrix.Dense(
            WeightType.Bf16, Device.Upload(DenseReference.Pack(WeightType.Bf16, Seeded.Floats(k, n * k), n, k)), n, k);
        Matrix<float> batch = Device.Poisoned<float>(M, n);
        Matrix<float> alone = Device.Poisoned<float>(M, n);
        Matrix<float> xs = Device.Upload(x, M, k);

        Device.Run(PortableMatMul.Bind(Device.Loader, xs, w, batch));
        for (int row = 0; row < M; row++)
        {
            Device.Run(PortableMatMul.Bind(
                Device.Loader, new Matrix<float>(xs.Row(row), 1, k), w, new Matrix<float>(alone.Row(row), 1, n)));
        }

        Assert.That(Device.Download(batch), Is.EqualTo(Device.Download(alone)));
    }

    [Test]
    public void ReadsAndWritesRowsOfWiderMatrices()
    {
        const int M = 5;
        const int N = 9;
        const int K = 21;
        float[] wide = Seeded.Floats(7, M * 50);
        float[] values = Seeded.Floats(8, N * K);
        double[] x = [.. Enumerable.Range(0, M).SelectMany(r => wide.AsSpan(r * 50, K).ToArray()).Select(v => (double)v)];
        var w = WeightMatrix.Dense(WeightType.F32, Device.Upload(DenseReference.Pack(WeightType.F32, values, N, K)), N, K);
        ArrayView<float> y = Device.Poisoned<float>(M * 16);

        Device.Run(PortableMatMul.Bind(Device.Loader, new Matrix<float>(Device.Upload(wide), M, K, 50), w, new Matrix<float>(y, M, N, 16)));

        float[] written = Device.Download(y);
        MatMulBound.Assert(
            [.. Enumerable.Range(0, M).SelectMany(r => written.AsSpan(r * 16, N).ToArray())], x, Seeded.ToDouble(values), M, N, K);
        Assert.That(Enumerable.Range(0, M).SelectMany(r => written.AsSpan((r * 16) + N, 16 - N).ToArray()), Has.All.NaN);
    }

    [Test]
    public void TakesRowsOutOfTheMiddle()
    {
        const int K = 20;
        float[] x = Seeded.Floats(1, K);
        float[] values = Seeded.Floats(2, 12 * K);
        var w = WeightMatrix.Dense(WeightType.F32, Device.Upload(DenseReference.Pack(WeightType.F32, values, 12, K)), 12, K);
        Matrix<float> y = Device.Poisoned<float>(1, 5);

        Device.Run(PortableMatMul.Bind(Device.Loader, Device.Upload(x, 1, K), w.Slice(3, 5), y));

        MatMulBound.Assert(Device.Download(y), Seeded.ToDouble(x), Seeded.ToDouble(values[(3 * K)..(8 * K)]), 1, 5, K);
    }

    [Test]
    public void RejectsAnotherInnerLength()
    {
        var w = WeightMatrix.Dense(WeightType.Bf16, Device.Poisoned<UInt4>(12), 6, 16);

        ArgumentException error = Assert.Throws<ArgumentException>(
            () => PortableMatMul.Bind(Device.Loader, Device.Poisoned<float>(2, 15), w, Device.Poisoned<float>(2, 6)))!;

        Assert.That(error.Message, Is.EqualTo("dense_matmul: columns of x is 15, columns of w is 16"));
    }

    [Test]
    public void RejectsWeightsWithoutPadding()
    {
        var w = WeightMatrix.Dense(WeightType.Bf16, Device.Poisoned<UInt4>(3), 2, 12);

        ArgumentException error = Assert.Throws<ArgumentException>(
            () => PortableMatMul.Bind(Device.Loader, Device.Poisoned<float>(1, 12), w, Device.Poisoned<float>(1, 2)))!;

        Assert.That(error.Message, Is.EqualTo("dense_matmul: bytes of w is 48, bytes for Bf16 [2, 12] is 64"));
    }
}
