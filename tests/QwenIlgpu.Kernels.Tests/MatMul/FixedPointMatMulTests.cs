namespace QwenIlgpu.Kernels.Tests;

/// <summary>Shares of quantised matmuls that take x in fixed point.</summary>
internal sealed class FixedPointMatMulTests : KernelTests
{
    private static readonly string[] Storages =
        ["INT4 g128", "INT4 g192", "INT4 g64 zeros", "INT4 g32", "INT4 g32 zeros", "INT4 g256 zeros", "INT8 g32", "INT8 g128", "INT8"];

    // [N, K]: one element, primes, off the tiles, one tile past a block of 128 and past a stretch of 512, 48 rows of real K.
    private static readonly (int N, int K)[] Shapes = [(1, 1), (37, 131), (26, 1000), (16, 577), (48, 5120), (48, 17408)];

    private static IEnumerable<TestCaseData> Cases() =>
        from storage in Storages
        from shape in Shapes
        from m in new[] { 1, 5 }
        select new TestCaseData(storage, m, shape.N, shape.K);

    [SetUp]
    public void ChooseShares()
    {
        if (TestDevice.Kind != "cpu")
            Assert.Ignore("shares are for the CPU");
        Assume.That(CpuVectors.AreSupported, "shares need AVX2 and FMA");
        Device.UsesShares = true;
    }

    [TearDown]
    public void ChooseNone() => Device.UsesShares = false;

    [TestCaseSource(nameof(Cases))]
    public void MatchesReference(string storage, int m, int n, int k)
    {
        var w = new Weights(storage, n, k);
        float[] x = Seeded.Floats(m + n + k, m * k);

        AssertWithin(Run(w, x, m), w, x, m);
    }

    // Neighbours of an x a million times theirs keep three of 24 bits; what that costs is in the bound, which sees the weight it meets.
    [TestCase("INT4 g128")]
    [TestCase("INT4 g32 zeros")]
    [TestCase("INT8")]
    public void StaysWithinItsBoundBesideAnOutlier(string storage)
    {
        const int M = 2;
        var w = new Weights(storage, 37, 300);
        float[] x = Seeded.Floats(7, M * 300);
        x[5] = 1e6f;
        x[299] = -1e-6f;
        x[300 + 131] = 1e30f;
        x[300 + 260] = 1e-38f;

        AssertWithin(Run(w, x, M), w, x, M);
    }

    // 24 bits of the largest x are what a float has: alone it loses nothing, and a wrong (row, k), scale or zero point shows.
    [TestCaseSource(nameof(Storages))]
    public void ReadsEveryWeightExactly(string storage)
    {
        const int K = 640;
        const int M = 8;
        var w = new Weights(storage, 33, K);
        for (int first = 0; first < K; first += M)
        {
            var x = new float[M * K];
            for (int token = 0; token < M; token++)
                x[(token * K) + first + token] = token % 2 == 0 ? 1 : -1.9999999f;

            double[] expected = MatMulReference.Run(Seeded.ToDouble(x), w.Unpacked, M, 33, K);

            Assert.That(Run(w, x, M), Is.EqualTo(Array.ConvertAll(expected, v => (float)v)).Within(1).Ulps, $"k = {first}");
        }
    }

    [TestCaseSource(nameof(Storages))]
    public void KeepsTheBitsOfARowInABatch(string storage)
    {
        const int M = 11;
        const int K = 1300;
        var w = new Weights(storage, 37, K);
        float[] x = Seeded.Floats(3, M * K);
        float[] batch = Run(w, x, M);

        for (int row = 0; row < M; row++)
            Assert.That(Run(w, x[(row * K)..((row + 1) * K)], 1), Is.EqualTo(batch[(row * 37)..((row + 1) * 37)]), $"row {row}");
    }

    [TestCase("INT4 g64 zeros")]
    [TestCase("INT8")]
    public void KeepsTheBitsWhateverTheThreads(string storage)
    {
        var w = new Weights(storage, 70, 300);
        Matrix<float> x = Device.Upload(Seeded.Floats(3, 3 * 300), 3, 300);
        Matrix<float> y = Device.Poisoned<float>(3, 70);

        float[] parts = PortableTests.RunInParts(() => [w.Bind(x, y)], () => Device.Download(y));

        Assert.That(Run(w, Device.Download(x), 3), Is.EqualTo(parts));
    }

    [TestCase("INT4 g128")]
    [TestCase("INT8")]
    public void KeepsNaNAndInfinityInTheirRows(string storage)
    {
        const int M = 5;
        const int K = 200;
        var w = new Weights(storage, 20, K);
        float[] x = Seeded.Floats(1, M * K);
        x[K + 190] = float.NaN;
        x[(3 * K) + 3] = float.NegativeInfinity;

        float[] y = Run(w, x, M);

        Assert.That(Enumerable.Range(0, M).Select(t => y[(t * 20)..((t + 1) * 20)].Any(float.IsFinite)), Is.EqualTo(new[] { true, false, true, false, true }));
    }

    [TestCase("INT4 g64 zeros")]
    [TestCase("INT8 g64")]
    public void AWrongScaleZeroPointOrLastKShows(string storage)
    {
        const int K = 200;
        var right = new Weights(storage, 37, K);
        float[] x = Seeded.Floats(2, K);
        float[] withoutLast = [.. x[..^1], 0];

        Assert.That(Deviation(Run(right, x, 1), right, x), Is.LessThan(1));
        Assert.That(Deviation(Run(right, withoutLast, 1), right, x), Is.GreaterThan(100));
        Assert.That(Deviation(Run(new Weights(storage, 37, K, bendsScales: true), x, 1), right, x), Is.GreaterThan(100));
        if (storage.EndsWith("zeros", StringComparison.Ordinal))
            Assert.That(Deviation(Run(new Weights(storage, 37, K, bendsZeros: true), x, 1), right, x), Is.GreaterThan(100));
    }

    private static float[] Run(Weights w, float[] x, int m)
    {
        Matrix<float> y = Device.Poisoned<float>(m, w.Rows);
        Device.Run(w.Bind(Device.Upload(x, m, w.Columns), y));
        return Device.Download(y);
    }

    private static void AssertWithin(float[] y, Weights w, float[] x, int m)
    {
        for (int token = 0; token < m; token++)
        {
            double deviation = Deviation(y[(token * w.Rows)..((token + 1) * w.Rows)], w, x[(token * w.Columns)..((token + 1) * w.Columns)]);
            Assert.That(deviation, Is.LessThanOrEqualTo(1), $"token {token}");
        }
    }

    // The largest deviation in units of what is allowed: half a unit of x, 2^-23 of 1.004 times a block's largest, for every weight;
    // and 2^-24 of Σ |w·x| for rounding a block's sum, scaling it, adding it, and for four sums of lanes.
    private static double Deviation(float[] y, Weights w, float[] x)
    {
        double worst = 0;
        for (int row = 0; row < w.Rows; row++)
        {
            double expected = 0, magnitude = 0, unit = 0;
            for (int block = 0; block < w.Columns; block += FixedPointRows.Block)
            {
                int end = Math.Min(block + FixedPointRows.Block, w.Columns);
                double largest = x[block..end].Max(Math.Abs);
                for (int k = block; k < end; k++)
                {
                    double weight = w.Unpacked[((long)row * w.Columns) + k];
                    expected += weight * x[k];
                    magnitude += Math.Abs(weight * x[k]);
                    unit += Math.Abs(weight) * Math.Max(largest, Math.Pow(2, -90));
                }
            }

            int sums = (2 * w.Columns / w.GroupSize) + FixedPointRows.Blocks(w.Columns);
            double allowed = (1.004 * unit / (1 << 23)) + (magnitude * (sums + 8) / (1 << 24)) + double.Epsilon;
            double deviation = Math.Abs(y[row] - expected) / allowed;
            worst = double.IsNaN(deviation) ? double.PositiveInfinity : Math.Max(worst, deviation);
        }

        return worst;
    }

    /// <summary>Random weights [N, K] of a storage, on the host and on the device.</summary>
    private sealed class Weights
    {
        private readonly WeightMatrix matrix;

        public Weights(string storage, int rows, int columns, bool bendsScales = false, bool bendsZeros = false)
        {
            string[] words = storage.Split(' ');
            (Rows, Columns) = (rows, columns);
            GroupSize = words.Length > 1 ? int.Parse(words[1].AsSpan(1), System.Globalization.CultureInfo.InvariantCulture) : Int8Layout.RowGroup(columns);
            if (words[0] == "INT8")
            {
                Int8Reference w = Quantized.RandomInt8(rows, columns, GroupSize, WeightType.Bf16);
                Unpacked = w.Unpack(WeightType.Bf16);
                if (bendsScales)
                    w.Scales.AsSpan(0, 16).CopyTo(w.Scales.AsSpan(16));
                matrix = Quantized.Upload(Device, w, WeightType.Bf16);
                return;
            }

            Int4Reference packed = Quantized.RandomInt4(rows, columns, GroupSize, WeightType.F16, words[^1] == "zeros");
            Unpacked = packed.Unpack(WeightType.F16);
            if (bendsScales)
                packed.Scales.AsSpan(0, 16).CopyTo(packed.Scales.AsSpan(16));
            if (bendsZeros)
                packed.Zeros.AsSpan(0, 16).CopyTo(packed.Zeros.AsSpan(16));
            matrix = Quantized.Upload(Device, packed, WeightType.F16);
        }

        public int Rows { get; }

        public int Columns { get; }

        public int GroupSize { get; }

        public double[] Unpacked { get; }

        public Launch Bind(Matrix<float> x, Matrix<float> y) =>
            PortableMatMul.Bind(Device.Loader, x, matrix, y, takesFixedPoint: true);
    }
}
