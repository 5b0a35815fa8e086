namespace QwenIlgpu.Kernels.Tests;

internal sealed class DequantMatMulTests(PortableTier tier) : PortableTests(tier)
{
    // [N, K]: K shorter than a tile, tails inside a tile and a group, N off 16 rows and off a quarter tile, 48 rows of 5120.
    private static readonly (int N, int K, int Group)[] Shapes =
        [(1, 1, 128), (16, 128, 128), (7, 50, 64), (37, 131, 128), (23, 320, 64), (26, 1000, 128), (48, 5120, 128)];

    // With zero points and in groups of half a tile, N up to 1024, K off a tile of 32 and of 64, 48 rows of a real K.
    private static readonly (int N, int K, int Group)[] MoreShapes =
        [(48, 128, 32), (96, 96, 32), (37, 50, 32), (37, 224, 64), (1024, 64, 128), (26, 1000, 32), (48, 17408, 32), (48, 17408, 128)];

    private static IEnumerable<TestCaseData> Cases() =>
        from scaleType in new[] { WeightType.F16, WeightType.Bf16 }
        from shape in Shapes
        from m in new[] { 1, 3, 4, 6 }
        select new TestCaseData(scaleType, m, shape.N, shape.K, shape.Group);

    private static IEnumerable<TestCaseData> MoreCases() =>
        from scaleType in new[] { WeightType.F16, WeightType.Bf16 }
        from hasZeros in new[] { false, true }
        from shape in MoreShapes
        from m in new[] { 1, 6 }
        select MachineFixtures.SlowIf(new TestCaseData(scaleType, hasZeros, m, shape.N, shape.K, shape.Group), shape.K > 5120);

    [TestCaseSource(nameof(Cases))]
    public void MatchesReference(object scaleType, int m, int n, int k, int groupSize)
    {
        var type = (WeightType)scaleType;
        Int4Reference w = RandomWeights(n, k, groupSize, type);
        float[] x = Seeded.Floats(m + n + k, m * k);
        Matrix<float> y = Device.Poisoned<float>(m, n);

        Device.Run(PortableMatMul.Bind(Device.Loader, Device.Upload(x, m, k), Upload(w, type), y));

        MatMulBound.Assert(Device.Download(y), Seeded.ToDouble(x), w.Unpack(type), m, n, k);
    }

    [TestCaseSource(nameof(MoreCases))]
    public void MatchesReferenceInEveryLayout(object scaleType, bool hasZeros, int m, int n, int k, int groupSize)
    {
        var type = (WeightType)scaleType;
        Int4Reference w = Quantized.RandomInt4(n, k, groupSize, type, hasZeros);
        float[] x = Seeded.Floats(m + n + k, m * k);
        Matrix<float> y = Device.Poisoned<float>(m, n);

        Device.Run(PortableMatMul.Bind(Device.Loader, Device.Upload(x, m, k), Upload(w, type), y));

        // A chain of products in a group, then a sum of scaled groups; in groups of 32 one addition more a group. Two roundings each.
        double roundings = 2 * (groupSize + (2 * w.Groups));
        MatMulBound.Assert(Device.Download(y), Seeded.ToDouble(x), w.Unpack(type), m, n, k, roundings);
    }

    [TestCase(37, 200, 128, false)]
    [TestCase(48, 5120, 128, false)]
    [TestCase(37, 200, 64, true)]
    [TestCase(37, 200, 32, true)]
    [TestCase(48, 5120, 32, false)]
    public void KeepsTheBitsOfARowInABatch(int n, int k, int groupSize, bool hasZeros)
    {
        const int M = 11;
        WeightMatrix w = Upload(Quantized.RandomInt4(n, k, groupSize, WeightType.Bf16, hasZeros), WeightType.Bf16);
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

    [Test]
    public void ReadsRowsOfAWiderMatrix()
    {
        const int K = 192;
        Int4Reference w = RandomWeights(19, K, 64, WeightType.F16);
        float[] wide = Seeded.Floats(3, 5 * 201);
        double[] x = [.. Enumerable.Range(0, 5).SelectMany(r => wide.AsSpan(r * 201, K).ToArray()).Select(v => (double)v)];
        Matrix<float> y = Device.Poisoned<float>(5, 19);

        Device.Run(PortableMatMul.Bind(Device.Loader, new Matrix<float>(Device.Upload(wide), 5, K, 201), Upload(w, WeightType.F16), y));

        MatMulBound.Assert(Device.Download(y), x, w.Unpack(WeightType.F16), 5, 19, K);
    }

    // Unit x at one k reads one column of W out exactly: a wrong (row, k), group or scale index shows.
    [TestCase(1, 64, false)]
    [TestCase(4, 64, false)]
    [TestCase(1, 64, true)]
    [TestCase(4, 64, true)]
    [TestCase(1, 32, false)]
    [TestCase(4, 32, true)]
    public void ReadsEveryWeightExactly(int m, int groupSize, bool hasZeros)
    {
        const int N = 33;
        const int K = 320;
        Int4Reference w = Quantized.RandomInt4(N, K, groupSize, WeightType.F16, hasZeros);
        double[] weights = w.Unpack(WeightType.F16);
        WeightMatrix uploaded = Upload(w, WeightType.F16);
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
            WeightMatrix.Int4(Device.Poisoned<UInt4>(64), Device.Poisoned<ushort>(64), default, WeightType.F16, 16, 128, 96),
            Device.Poisoned<float>(1, 16)),
        Throws.ArgumentException.With.Message.EqualTo("dequant_matmul: group size of w is 96, neither 32 nor a multiple of 64"));

    [Test]
    public void RejectsAnotherNumberOfZeroPoints()
    {
        WeightMatrix w = Upload(Quantized.RandomInt4(16, 256, 128, WeightType.F16, hasZeros: true), WeightType.F16);

        Assert.That(
            () => PortableMatMul.Bind(
                Device.Loader, Device.Poisoned<float>(1, 256), w with { Zeros = w.Zeros.SubView(0, 16) }, Device.Poisoned<float>(1, 16)),
            Throws.ArgumentException.With.Message.EqualTo(
                "dequant_matmul: bytes of zeros of w is 16, bytes for INT4 g128 [16, 256] is 32"));
    }

    [Test]
    public void RejectsAnotherNumberOfOutputs() => Assert.That(
        () => PortableMatMul.Bind(
            Device.Loader,
            Device.Poisoned<float>(1, 128),
            Upload(RandomWeights(16, 128, 128, WeightType.F16), WeightType.F16),
            Device.Poisoned<float>(1, 15)),
        Throws.ArgumentException.With.Message.EqualTo("dequant_matmul: columns of y is 15, rows of w is 16"));

    private static Int4Reference RandomWeights(int n, int k, int groupSize, WeightType scaleType) =>
        Int4Reference.FromWeights(Seeded.ToDouble(Seeded.Floats(n * k, n * k)), n, k, groupSize, scaleType);

    private static WeightMatrix Upload(Int4Reference w, WeightType scaleType) => Quantized.Upload(Device, w, scaleType);
}
