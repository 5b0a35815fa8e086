namespace QwenIlgpu.Kernels.Tests;

/// <summary>y = x · Wᵀ with INT8 weights.</summary>
internal sealed class Int8MatMulTests(PortableTier tier) : PortableTests(tier)
{
    // [N, K, G], G 0: one scale a row. K shorter than a tile, tails inside a tile and a group, N off 16 rows; 48 rows of real K.
    private static readonly (int N, int K, int Group)[] Shapes =
    [
        (1, 1, 32), (48, 128, 32), (37, 131, 64), (96, 96, 0), (1024, 64, 0), (26, 1000, 128), (37, 1000, 0), (48, 5120, 0),
        (48, 17408, 128),
    ];

    private static IEnumerable<TestCaseData> Cases() =>
        from scaleType in new[] { WeightType.F16, WeightType.Bf16 }
        from shape in Shapes
        from m in new[] { 1, 6 }
        select MachineFixtures.SlowIf(new TestCaseData(scaleType, m, shape.N, shape.K, shape.Group), shape.K > 5120);

    [TestCaseSource(nameof(Cases))]
    public void MatchesReference(object scaleType, int m, int n, int k, int groupSize)
    {
        var type = (WeightType)scaleType;
        Int8Reference w = Random(n, k, groupSize, type);
        float[] x = Seeded.Floats(m + n + k, m * k);
        Matrix<float> y = Device.Poisoned<float>(m, n);

        Device.Run(PortableMatMul.Bind(Device.Loader, Device.Upload(x, m, k), Quantized.Upload(Device, w, type), y));

        // A chain of 32 products in a tile, a sum of a group's tiles, a sum of scaled groups: two roundings each at most.
        double roundings = 2 * (32 + ((k + 31) / 32) + w.Groups);
        MatMulBound.Assert(Device.Download(y), Seeded.ToDouble(x), w.Unpack(type), m, n, k, roundings);
    }

    [TestCase(37, 200, 64)]
    [TestCase(48, 5120, 0, Category = MachineFixtures.Slow)]
    public void KeepsTheBitsOfARowInABatch(int n, int k, int groupSize)
    {
        const int M = 11;
        WeightMatrix w = Quantized.Upload(Device, Random(n, k, groupSize, WeightType.Bf16), WeightType.Bf16);
        Matrix<float> xs = Device.Upload(Seeded.Floats(n, M * k), M, k);
        Matrix<float> batch = Device.Poisoned<float>(M, n);
        Matrix<float> alone = Device.Poisoned<float>(M, n);

        Device.Run(PortableMatMul.Bind(Device.Loader, xs, w, batch));
        for (int row = 0; row < M; row++)
        {
            Device.Run(PortableMatMul.Bind(
                Device.Loader, new Matrix<float>(xs.Row(row), 1, k), w, new Matrix<float>(alone.Row(row), 1, n)));
        }

        Assert.That(Device.Download(batch), Is.EqualTo(Device.Download(alone)));
    }

    // Unit x at one k reads one column of W out exactly: a wrong (row, k), group or scale index shows.
    [TestCase(1)]
    [TestCase(4)]
    public void ReadsEveryWeightExactly(int m)
    {
        const int N = 33;
        const int K = 160;
        Int8Reference w = Random(N, K, 32, WeightType.F16);
        double[] weights = w.Unpack(WeightType.F16);
        WeightMatrix uploaded = Quantized.Upload(Device, w, WeightType.F16);
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

    [Test]
    public void RejectsAGroupSizeThatIsNotWholeTiles() => Assert.That(
        () => PortableMatMul.Bind(
            Device.Loader,
            Device.Poisoned<float>(1, 128),
            WeightMatrix.Int8(Device.Poisoned<UInt4>(64), Device.Poisoned<ushort>(64), WeightType.F16, 16, 128, 48),
            Device.Poisoned<float>(1, 16)),
        Throws.ArgumentException.With.Message.EqualTo("dequant_matmul: group size of w is 48, not a multiple of 32"));

    private static Int8Reference Random(int n, int k, int groupSize, WeightType type) =>
        Quantized.RandomInt8(n, k, groupSize == 0 ? Int8Layout.RowGroup(k) : groupSize, type);
}
