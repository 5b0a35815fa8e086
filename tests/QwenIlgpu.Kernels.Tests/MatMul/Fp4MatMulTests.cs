namespace QwenIlgpu.Kernels.Tests;

/// <summary>y = x · Wᵀ with FP4 weights.</summary>
internal sealed class Fp4MatMulTests(PortableTier tier) : PortableTests(tier)
{
    // [N, K]: one element; K inside a step, inside a tile, beyond a stretch of 512; N off 16 rows; 48 rows of real K.
    private static readonly (int N, int K)[] Shapes = [(1, 1), (48, 128), (37, 131), (96, 96), (26, 1000), (48, 5120)];

    private static IEnumerable<TestCaseData> Cases() =>
        from shape in Shapes
        from m in new[] { 1, 6 }
        select MachineFixtures.SlowIf(new TestCaseData(m, shape.N, shape.K), shape.K > 1000);

    [TestCaseSource(nameof(Cases))]
    public void MatchesReference(int m, int n, int k)
    {
        Fp4Reference w = Quantized.RandomFp4(n, k);
        float[] x = Seeded.Floats(m + n + k, m * k);
        Matrix<float> y = Device.Poisoned<float>(m, n);

        Device.Run(PortableMatMul.Bind(Device.Loader, Device.Upload(x, m, k), Quantized.Upload(Device, w), y, takesFixedPoint: true));

        // A chain of 64 products in a tile, then a sum of tiles times the global scale: two roundings each at most.
        double roundings = 2 * (64 + (2 * ((k + 63) / 64)));
        MatMulBound.Assert(Device.Download(y), Seeded.ToDouble(x), w.Unpack(), m, n, k, roundings);
    }

    // Unit x at one k reads one column of W out exactly: a wrong (row, k), group or scale index shows.
    [TestCase(1)]
    [TestCase(4)]
    public void ReadsEveryWeightExactly(int m)
    {
        const int N = 33;
        const int K = 112;
        AssertReads(Quantized.RandomFp4(N, K), m);
    }

    // Subnormal, zero, largest and negative scales among them.
    [TestCase(1, Category = MachineFixtures.Slow)]
    [TestCase(64)]
    public void ReadsEveryCodeTimesEveryScaleExactly(int m)
    {
        var w = new Fp4Reference(16, 256);
        for (int row = 0; row < 16; row++)
        {
            w.SetGlobal(row, -3.7e-5f);
            for (int k = 0; k < 256; k++)
            {
                w.SetCode(row, k, k % 16);
                int scale = (16 * row) + (k / 16);
                w.SetScale(row, k / 16, (byte)(scale % 128 == 127 ? 0 : scale));
            }
        }

        AssertReads(w, m);
    }

    [Test]
    public void SharesNoLaunchWithOthersNorOneOfF16()
    {
        WeightMatrix fp4 = WeightMatrix.Fp4(64, 128);

        Assert.That(ProjectionSet.CanFuse([fp4, WeightMatrix.Fp4(32, 128)], Operand16.Bf16), Is.True);
        Assert.That(ProjectionSet.CanFuse([fp4, WeightMatrix.Int4(WeightType.Bf16, 32, 128, 32)], Operand16.Bf16), Is.False);
        Assert.That(ProjectionSet.CanFuse([fp4, WeightMatrix.Dense(WeightType.Bf16, 32, 128)], Operand16.Bf16), Is.False);
        Assert.That(ProjectionSet.CanFuse([fp4], Operand16.F16), Is.False);
    }

    private static void AssertReads(Fp4Reference w, int m)
    {
        double[] weights = w.Unpack();
        WeightMatrix uploaded = Quantized.Upload(Device, w);
        for (int first = 0; first < w.Columns; first += m)
        {
            var x = new float[m * w.Columns];
            for (int token = 0; token < m; token++)
                x[(token * w.Columns) + first + token] = 1;
            Matrix<float> y = Device.Poisoned<float>(m, w.Rows);

            Device.Run(PortableMatMul.Bind(Device.Loader, Device.Upload(x, m, w.Columns), uploaded, y));

            Assert.That(
                Device.Download(y),
                Is.EqualTo(Enumerable.Range(0, m * w.Rows).Select(i => (float)weights[(i % w.Rows * w.Columns) + first + (i / w.Rows)])),
                $"k = {first} …");
        }
    }
}
