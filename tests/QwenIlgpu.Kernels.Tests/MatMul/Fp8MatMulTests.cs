namespace QwenIlgpu.Kernels.Tests;

/// <summary>y = x · Wᵀ with FP8 weights.</summary>
internal sealed class Fp8MatMulTests(PortableTier tier) : PortableTests(tier)
{
    // [N, K, G], G 0: one scale a row. K shorter than a tile, tails inside a tile and a group, N off 16 rows; 48 rows of real K.
    private static readonly (int N, int K, int Group)[] Shapes =
    [
        (1, 1, 32), (48, 128, 32), (37, 131, 64), (96, 96, 0), (26, 1000, 128), (37, 1000, 0), (48, 5120, 128),
    ];

    private static IEnumerable<TestCaseData> Cases() =>
        from shape in Shapes
        from m in new[] { 1, 6 }
        select MachineFixtures.SlowIf(new TestCaseData(m, shape.N, shape.K, shape.Group), shape.K > 1000);

    [TestCaseSource(nameof(Cases))]
    public void MatchesReference(int m, int n, int k, int groupSize)
    {
        Fp8Reference w = Random(n, k, groupSize);
        float[] x = Seeded.Floats(m + n + k, m * k);
        Matrix<float> y = Device.Poisoned<float>(m, n);

        // Decode steps ask for fixed point, which FP8 never takes.
        Device.Run(PortableMatMul.Bind(Device.Loader, Device.Upload(x, m, k), Quantized.Upload(Device, w), y, takesFixedPoint: true));

        // As of INT8: a chain of 32 products in a tile, a sum of a group's tiles, a sum of scaled groups: two roundings each at most.
        double roundings = 2 * (32 + ((k + 31) / 32) + w.Groups);
        MatMulBound.Assert(Device.Download(y), Seeded.ToDouble(x), w.Unpack(), m, n, k, roundings);
    }

    // Unit x at one k reads one column of W out exactly: a wrong (row, k), group or scale index shows.
    [TestCase(1)]
    [TestCase(4)]
    public void ReadsEveryWeightExactly(int m)
    {
        const int N = 33;
        const int K = 96;
        Fp8Reference w = Random(N, K, 32);
        double[] weights = w.Unpack();
        WeightMatrix uploaded = Quantized.Upload(Device, w);
        for (int first = 0; first < K; first += m)
        {
            var x = new float[m * K];
            for (int token = 0; token < m; token++)
                x[(token * K) + first + token] = 1;
            Matrix<float> y = Device.Poisoned<float>(m, N);

            Device.Run(PortableMatMul.Bind(Device.Loader, Device.Upload(x, m, K), uploaded, y));

            double[] expected = MatMulReference.Run(Seeded.ToDouble(x), weights, m, N, K);
            Assert.That(Device.Download(y), Is.EqualTo(Array.ConvertAll(expected, v => (float)v)), $"k = {first}");
        }
    }

    [TestCase(1)]
    [TestCase(4)]
    public void ReadsEveryCode(int m)
    {
        Fp8Reference w = Quantized.EveryFp8();
        float[] x = [.. Enumerable.Range(0, m * w.Columns).Select(i => i % w.Columns == 0 ? 1f : 0)];
        Matrix<float> y = Device.Poisoned<float>(m, w.Rows);

        Device.Run(PortableMatMul.Bind(Device.Loader, Device.Upload(x, m, w.Columns), Quantized.Upload(Device, w), y));

        float[] expected = [.. w.Unpack().Where((_, i) => i % w.Columns == 0).Select(v => (float)v)];
        for (int token = 0; token < m; token++)
            Assert.That(Device.Download(y)[(token * w.Rows)..((token + 1) * w.Rows)], Is.EqualTo(expected));
    }

    [Test]
    public void RejectsA16BitScale() => Assert.That(
        () => PortableMatMul.Bind(
            Device.Loader, Device.Poisoned<float>(1, 128),
            WeightMatrix.Fp8(Device.Poisoned<UInt4>(128), Device.Poisoned<ushort>(16), 16, 128, 128),
            Device.Poisoned<float>(1, 16)),
        Throws.ArgumentException.With.Message.EqualTo("dequant_matmul: bytes of scales of w is 32, bytes for FP8 g128 [16, 128] is 64"));

    private static Fp8Reference Random(int n, int k, int groupSize) =>
        Quantized.RandomFp8(n, k, groupSize == 0 ? Int8Layout.RowGroup(k) : groupSize);
}
