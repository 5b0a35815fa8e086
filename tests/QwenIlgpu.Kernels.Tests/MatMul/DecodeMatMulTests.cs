using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>The decode matmul against its definition in double, on the PTX machine: groups of 256 threads do not run on the CPU accelerator.</summary>
[UnderSchedules]
[NonParallelizable]
internal sealed class DecodeMatMulTests
{
    // Smallest; off a row tile; K off a block and fewer blocks than runs; prime N; real slices; K split over groups wherever it is long.
    private static readonly (string Format, int N, int K, int Group, WeightType Scales)[] Weights =
    [
        ("int4", 16, 128, 128, WeightType.F16), ("int4", 37, 192, 64, WeightType.Bf16), ("int4z", 48, 96, 32, WeightType.Bf16),
        ("int4z", 101, 320, 64, WeightType.F16), ("int4", 101, 1216, 32, WeightType.F16), ("int4", 64, 5120, 128, WeightType.Bf16),
        ("int4z", 48, 17408, 128, WeightType.F16), ("int8", 37, 160, 32, WeightType.F16), ("int8", 101, 1376, 0, WeightType.Bf16),
        ("int8", 64, 5120, 128, WeightType.F16), ("fp8", 37, 160, 32, WeightType.F32), ("fp8", 101, 1376, 0, WeightType.F32),
        ("bf16", 37, 132, 0, WeightType.Bf16), ("bf16", 96, 5120, 0, WeightType.Bf16),
        ("fp4", 37, 176, 16, WeightType.F32), ("fp4", 101, 1216, 16, WeightType.F32), ("fp4", 48, 5120, 16, WeightType.F32),
        ("int8", 64, 5120, 128, WeightType.F16), ("fp8", 37, 160, 32, WeightType.F32), ("fp8", 101, 1376, 0, WeightType.F32),
        ("bf16", 37, 132, 0, WeightType.Bf16), ("bf16", 96, 5120, 0, WeightType.Bf16),
    ];

    private static IEnumerable<TestCaseData> Shapes() => Weights.SelectMany(w =>
        (w.K > 2000 ? new[] { 1, 9 } : [1, 2, 3, 8, 9, 17]).Select(m => QuickIfFew(m, w.Format, w.N, w.K, w.Group, w.Scales, m)));

    private static IEnumerable<TestCaseData> Batches() => Weights.Where(w => w.K < 2000)
        .Select(w => QuickIfFew(64, w.Format, w.N, w.K, w.Group, w.Scales));

    // Nine tokens and more take kernels of packed x: in the quick suite of the formats int4 and bf16.
    private static TestCaseData QuickIfFew(int tokens, string format, params object[] others)
    {
        var data = new TestCaseData([format, .. others]);
        return tokens > 8 && format is ("int4z" or "int8" or "fp8" or "fp4") ? data.SetCategory("Exhaustive") : data;
    }

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    [TestCaseSource(nameof(Shapes))]
    public void MatchesReference(string format, int n, int k, int group, WeightType scales, int m)
    {
        var run = new DecodeRun(DecodeWeights.Random(format, n, k, group, scales, m), n, k, m);

        Assert.That(run.Deviation(run.Y()), Is.LessThanOrEqualTo(1));
    }

    // More units than groups run at once.
    [TestCase("int4", 128)]
    [TestCase("bf16", 520)]
    public void MatchesReferenceInSeveralUnitsAGroup(string format, int k)
    {
        const int Rows = 185;
        foreach (int m in new[] { 2, 9 })
        {
            var run = new DecodeRun(DecodeWeights.Random(format, Rows, k, 64, WeightType.F16, 1), Rows, k, m);

            Assert.That(run.Deviation(DecodeRun.Device.On(1, run.Y)), Is.LessThanOrEqualTo(1));
        }
    }

    [TestCase("int4", 37, 192, 64, Category = "Exhaustive")]
    [TestCase("int4z", 48, 96, 32, Category = "Exhaustive")]
    [TestCase("int8", 37, 160, 32, Category = "Exhaustive")]
    [TestCase("f16", 37, 132, 0)]
    public void MatchesReferenceInF16(string format, int n, int k, int group)
    {
        foreach (int m in new[] { 1, 9, 17 })
        {
            var run = new DecodeRun(DecodeWeights.Random(format, n, k, group, WeightType.F16, m), n, k, m) { Operand = Operand16.F16 };

            Assert.That(run.Deviation(run.Y()), Is.LessThanOrEqualTo(1));
        }
    }

    [TestCaseSource(nameof(Batches))]
    public void ABatchIsItsRowsBitForBit(string format, int n, int k, int group, WeightType scales)
    {
        const int M = 64;
        DecodeWeights weights = DecodeWeights.Random(format, n, k, group, scales, 5);
        var whole = new DecodeRun(weights, n, k, M) { NormSeed = 3 };
        float[] all = whole.Y();
        foreach (int m in new[] { 1, 3, 8, 16, 20, 33 })
        {
            float[] y = new DecodeRun(weights, n, k, m) { NormSeed = 3, X = whole.X[..(m * k)] }.Y();

            Assert.That(y, Is.EqualTo(all[..(m * n)]), $"{m} rows");
        }

        float[] last = new DecodeRun(weights, n, k, 1) { NormSeed = 3, X = whole.X[((M - 1) * k)..] }.Y();
        Assert.That(last, Is.EqualTo(all[((M - 1) * n)..]), "the last row alone");
    }

    // Unit x at one k reads a column of W out exactly: a wrong row, k, group or scale shows. Eight k a launch, one a token.
    [TestCase("int4", 33, 192, 64)]
    [TestCase("int4z", 48, 96, 32)]
    [TestCase("int8", 33, 96, 32)]
    [TestCase("fp4", 33, 80, 16)]
    [TestCase("fp8", 33, 96, 32)]
    [TestCase("bf16", 33, 72, 0)]
    public void ReadsEveryWeightExactly(string format, int n, int k, int group)
    {
        DecodeWeights weights = DecodeWeights.Random(format, n, k, group, WeightType.Bf16, 9);
        for (int first = 0; first < k; first += 8)
        {
            var x = new float[8 * k];
            for (int token = 0; token < 8; token++)
                x[(token * k) + first + token] = 1;

            float[] y = new DecodeRun(weights, n, k, 8) { X = x }.Y();

            Assert.That(
                y,
                Is.EqualTo(Enumerable.Range(0, 8 * n).Select(i => (float)weights.Values[(i % n * k) + first + (i / n)])),
                $"k = {first} …");
            WarpDevice.ReleaseBuffers();
        }
    }

    // Subnormal, zero, largest and negative scales among them; 64 k a launch of packed x.
    [Test]
    public void ReadsEveryFp4CodeTimesEveryScaleExactly()
    {
        const int M = 64;
        const int K = 256;
        var weights = DecodeWeights.EveryFp4();
        for (int first = 0; first < K; first += M)
        {
            var x = new float[M * K];
            for (int token = 0; token < M; token++)
                x[(token * K) + first + token] = 1;

            float[] y = new DecodeRun(weights, 16, K, M) { X = x }.Y();

            Assert.That(y, Is.EqualTo(Enumerable.Range(0, 16 * M).Select(i => (float)weights.Values[(i % 16 * K) + first + (i / 16)])));
        }
    }

    [TestCase(1)]
    [TestCase(9, Category = "Exhaustive")]
    public void ReadsEveryFp8Code(int m)
    {
        Fp8Reference w = Quantized.EveryFp8();
        float[] x = [.. Enumerable.Range(0, m * w.Columns).Select(i => i % w.Columns == 0 ? 1f : 0)];

        float[] y = new DecodeRun(DecodeWeights.Of(w), w.Rows, w.Columns, m) { X = x }.Y();

        double[] values = w.Unpack();
        Assert.That(y, Is.EqualTo(Enumerable.Range(0, m * w.Rows).Select(i => (float)values[i % w.Rows * w.Columns])));
    }

    [Test]
    public void RejectsFp8InF16() => Assert.That(
        () => new DecodeRun(DecodeWeights.Random("fp8", 37, 160, 32, WeightType.F32, 1), 37, 160, 1) { Operand = Operand16.F16 }.Y(),
        Throws.ArgumentException.With.Message.EqualTo("decode_matmul: FP8 g32 [37, 160] cannot share a launch with operands of type F16"));

    [Test]
    public void IsWrongWithANibbleOfAnotherRegister() => Assert.That(Deviation(192, w => w.WithRotatedNibbles()), Is.GreaterThan(10));

    [Test]
    public void IsWrongWithTheScaleOfTheNextGroup() => Assert.That(Deviation(256, w => w.WithNeighboursScales()), Is.GreaterThan(10));

    // Ones of bf16 in place of the zeros that are staged behind K, where codes of the padding times zero points are no zeros.
    [Test]
    public void IsWrongWithoutZerosBehindK()
    {
        Assume.That(WarpDevice.Usual, Is.EqualTo("machine"), "another device is asked for");
        var run = new DecodeRun(DecodeWeights.Random("int4z", 37, 96, 32, WeightType.F16, 1), 37, 96, 2);
        double deviation = 0;

        MachineDevice.Edited(
            PtxEdit.Of("Kernel_DecodeMatMul", @"(st\.shared\.b32\s+\[%rd\d+\]), 0;", $"$1, {0x3f803f80};"),
            () => deviation = run.Deviation(run.Y()));

        Assert.That(deviation, Is.GreaterThan(10));
    }

    private static double Deviation(int k, Func<DecodeWeights, DecodeWeights> bend)
    {
        var run = new DecodeRun(bend(DecodeWeights.Random("int4", 37, k, 64, WeightType.F16, 1)), 37, k, 2);
        return run.Deviation(run.Y());
    }
}
