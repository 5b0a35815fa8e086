namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// The prefill matmul against its definition in double: middling shapes on the PTX machine, one on the CPU accelerator, faults in operands.
/// </summary>
[UnderSchedules]
[NonParallelizable]
internal sealed class PrefillMatMulTests
{
    // Smallest; off a row tile; K off a block; prime N; K split over groups wherever it is long; real slices.
    private static readonly (string Format, int N, int K, int Group, WeightType Scales)[] Weights =
    [
        ("int4", 16, 128, 128, WeightType.F16), ("int4", 37, 192, 64, WeightType.Bf16), ("int4z", 48, 96, 32, WeightType.Bf16),
        ("int4z", 101, 320, 64, WeightType.F16), ("int4", 101, 1216, 32, WeightType.F16), ("int8", 37, 160, 32, WeightType.F16),
        ("int8", 101, 1376, 0, WeightType.Bf16), ("fp8", 37, 160, 32, WeightType.F32), ("fp8", 101, 1376, 0, WeightType.F32),
        ("bf16", 37, 132, 0, WeightType.Bf16), ("fp4", 37, 176, 16, WeightType.F32),
    ];

    private static TestDevice Device => DecodeRun.Device;

    private static IEnumerable<TestCaseData> Shapes() => Weights.SelectMany(w =>
        new[] { 1, 17, 63, 64, 129 }.Select(m => new TestCaseData(w.Format, w.N, w.K, w.Group, w.Scales, m)));

    private static IEnumerable<TestCaseData> Batches() => Weights.Select(w => new TestCaseData(w.Format, w.N, w.K, w.Group, w.Scales));

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    [TestCaseSource(nameof(Shapes))]
    public void MatchesReference(string format, int n, int k, int group, WeightType scales, int m)
    {
        DecodeWeights weights = DecodeWeights.Random(format, n, k, group, scales, m);
        var run = new PrefillRun(Device, m, k);

        Assert.That(run.Deviation(run.Y(weights, n), weights, n), Is.LessThanOrEqualTo(1));
    }

    // Of 27B: rows of projections of 5120 and of the down projection, all split over K.
    [TestCase("int4", 256, 5120, 70)]
    [TestCase("int4z", 128, 17408, 33)]
    [TestCase("int4", 32, 5120, 1000, Category = "Exhaustive")]
    public void MatchesReferenceOnRealSlices(string format, int n, int k, int m)
    {
        DecodeWeights weights = DecodeWeights.Random(format, n, k, 128, WeightType.F16, m);
        var run = new PrefillRun(Device, m, k);

        Assert.That(run.Deviation(run.Y(weights, n), weights, n), Is.LessThanOrEqualTo(1));
    }

    [TestCase("int4", 37, 192, 64, Category = "Exhaustive")]
    [TestCase("int4z", 48, 96, 32, Category = "Exhaustive")]
    [TestCase("int8", 37, 160, 32, Category = "Exhaustive")]
    [TestCase("f16", 37, 132, 0)]
    public void MatchesReferenceInF16(string format, int n, int k, int group)
    {
        const int M = 65;
        DecodeWeights weights = DecodeWeights.Random(format, n, k, group, WeightType.F16, 3);
        var run = new PrefillRun(Device, M, k) { Operand = Operand16.F16 };

        Assert.That(run.Deviation(run.Y(weights, n), weights, n), Is.LessThanOrEqualTo(1));
    }

    // Every weight tile with either operand; those of FP8 and FP4 have one.
    private static IEnumerable<TestCaseData> Tiles() =>
        from weights in new[] { ("int4", 64), ("int4", 32), ("int8", 32), ("fp8", 32), ("bf16", 0), ("fp4", 16) }
        from operand in Enum.GetValues<Operand16>()
        where operand == Operand16.Bf16 || weights.Item1 is not ("fp8" or "fp4")
        let format = operand == Operand16.F16 && weights.Item1 == "bf16" ? "f16" : weights.Item1
        select new TestCaseData(format, weights.Item2, operand);

    // Written out as on a GPU, more rows and tokens than one.
    [Category("Exhaustive")]
    [TestCaseSource(nameof(Tiles))]
    public void SmallTilesHaveTheSameBits(string format, int group, object operand) =>
        TilesHaveTheSameBits<SmallPrefillTile>(format, group, operand, 70, 150, 128);

    // 32 tokens a group, more groups of tokens than one.
    [Category("Exhaustive")]
    [TestCaseSource(nameof(Tiles))]
    public void FewTokenTilesHaveTheSameBits(string format, int group, object operand) =>
        TilesHaveTheSameBits<FewTokensPrefillTile>(format, group, operand, 41, 150, 192);

    private static void TilesHaveTheSameBits<TTile>(string format, int group, object operand, int m, int n, int k)
        where TTile : struct, IPrefillTile
    {
        DecodeWeights weights = DecodeWeights.Random(format, n, k, group, WeightType.F16, 8);
        var run = new PrefillRun(Device, m, k) { Operand = (Operand16)operand };

        float[] y = run.Y<TTile>(weights, n);

        Assert.That(run.Deviation(y, weights, n), Is.LessThanOrEqualTo(1));
        Assert.That(y, Is.EqualTo(run.Y(weights, n)));
    }

    // Bands of 16 tiles of tokens, and the last one narrower.
    [Test]
    public void MatchesReferenceOfManyTokens()
    {
        const int M = 1100;
        const int N = 300;
        const int K = 64;
        DecodeWeights weights = DecodeWeights.Random("int4", N, K, 64, WeightType.F16, 8);
        var run = new PrefillRun(Device, M, K);

        Assert.That(run.Deviation(run.Y(weights, N), weights, N), Is.LessThanOrEqualTo(1));
    }

    [TestCaseSource(nameof(Batches))]
    public void ABatchIsItsRowsBitForBit(string format, int n, int k, int group, WeightType scales)
    {
        const int M = 129;
        DecodeWeights weights = DecodeWeights.Random(format, n, k, group, scales, 5);
        var whole = new PrefillRun(Device, M, k) { NormSeed = 3 };
        float[] all = whole.Y(weights, n);
        foreach ((int first, int count) in new[] { (0, 1), (31, 2), (60, 69), (128, 1) })
        {
            var part = new PrefillRun(Device, count, k) { NormSeed = 3, X = whole.X[(first * k)..((first + count) * k)] };

            Assert.That(part.Y(weights, n), Is.EqualTo(all[(first * n)..((first + count) * n)]), $"rows {first} … {first + count - 1}");
        }
    }

    // Unit x: y is W transposed.
    [Test]
    public void ReadsEveryFp4CodeTimesEveryScaleExactly()
    {
        const int K = 256;
        var weights = DecodeWeights.EveryFp4();
        var x = new float[K * K];
        for (int k = 0; k < K; k++)
            x[(k * K) + k] = 1;

        float[] y = new PrefillRun(Device, K, K) { X = x }.Y(weights, 16);

        Assert.That(y, Is.EqualTo(Enumerable.Range(0, 16 * K).Select(i => (float)weights.Values[(i % 16 * K) + (i / 16)])));
    }

    [Test]
    public void MatchesReferenceOnTheCpuAccelerator()
    {
        DecodeWeights weights = DecodeWeights.Random("int4", 33, 192, 64, WeightType.F16, 2);
        var run = new PrefillRun(WarpDevice.Named(WarpDevice.Names[0]), 9, 192);

        Assert.That(run.Deviation(run.Y<ToyPrefillTile>(weights, 33), weights, 33), Is.LessThanOrEqualTo(1));
    }

    // Rows 6 and 7 of x are tokens 6 and 7 of a B fragment.
    [Test]
    public void IsWrongWithSwappedTokens()
    {
        const int K = 256;
        DecodeWeights weights = DecodeWeights.Random("int4", 33, K, 64, WeightType.F16, 1);
        var run = new PrefillRun(Device, 9, K);
        float[] x = run.X;
        var swapped = new PrefillRun(Device, 9, K)
        {
            X = [.. x[..(6 * K)], .. x[(7 * K)..(8 * K)], .. x[(6 * K)..(7 * K)], .. x[(8 * K)..]],
        };

        Assert.That(run.Deviation(swapped.Y(weights, 33), weights, 33), Is.GreaterThan(10));
    }

    [Test]
    public void IsWrongWithANibbleOfAnotherRegister() => Assert.That(Deviation(w => w.WithRotatedNibbles()), Is.GreaterThan(10));

    [Test]
    public void IsWrongWithTheScaleOfTheNextGroup() => Assert.That(Deviation(w => w.WithNeighboursScales()), Is.GreaterThan(10));

    private static double Deviation(Func<DecodeWeights, DecodeWeights> bend)
    {
        DecodeWeights weights = bend(DecodeWeights.Random("int4", 33, 256, 64, WeightType.F16, 1));
        var run = new PrefillRun(Device, 9, 256);
        return run.Deviation(run.Y(weights, 33), weights, 33);
    }
}
