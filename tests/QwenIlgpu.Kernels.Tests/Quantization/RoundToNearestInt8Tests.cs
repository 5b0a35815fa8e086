namespace QwenIlgpu.Kernels.Tests;

internal sealed class RoundToNearestInt8Tests(PortableTier tier) : PortableTests(tier)
{
    // Group 0: one scale a row.
    private static IEnumerable<TestCaseData> Cases() =>
        from type in Enum.GetValues<WeightType>()
        from scaleType in new[] { WeightType.F16, WeightType.Bf16 }
        from shape in new[] { (1, 3, 32), (16, 128, 128), (37, 131, 64), (48, 1000, 0), (48, 5120, 128), (96, 67, 0), (37, 100, 32) }
        select new TestCaseData(type, scaleType, shape.Item1, shape.Item2, shape.Item3);

    [TestCaseSource(nameof(Cases))]
    public void MatchesReference(object weightType, object scaleType, int rows, int columns, int groupSize)
    {
        var type = (WeightType)weightType;
        var scale = (WeightType)scaleType;
        int group = groupSize == 0 ? Int8Layout.RowGroup(columns) : groupSize;
        UInt4[] words = DenseReference.Pack(type, Seeded.Floats(rows * columns, rows * columns), rows, columns);

        WeightMatrix packed = Quantize(type, words, rows, columns, group, scale, blockRows: 32);

        double[] weights = DenseReference.Unpack(type, words, rows, columns);
        Int8Reference expected = Int8Reference.FromWeights(weights, rows, columns, group, scale);
        Assert.That(Device.Download(packed.Data).AsSpan().SequenceEqual(expected.Codes), "codes");
        Assert.That(Device.Download(packed.Scales), Is.EqualTo(expected.Scales));
    }

    // 127.25 steps at most (a bf16 scale is off by 2^-9), of which the outermost code takes 127.
    [TestCase(1e-3f, WeightType.Bf16)]
    [TestCase(40f, WeightType.Bf16)]
    [TestCase(0.3f, WeightType.F16)]
    public void KeepsEveryWeightWithinHalfAStep(float largest, object scaleType)
    {
        const int Rows = 16;
        const int Columns = 512;
        var type = (WeightType)scaleType;
        float[] weights = Seeded.Floats(5, Rows * Columns, largest);
        weights[0] = largest;
        weights[200] = -largest;
        UInt4[] words = DenseReference.Pack(WeightType.F32, weights, Rows, Columns);

        WeightMatrix packed = Quantize(WeightType.F32, words, Rows, Columns, 128, type, Rows);

        var back = new Int8Reference(Rows, Columns, 128, Device.Download(packed.Data), Device.Download(packed.Scales));
        double[] restored = back.Unpack(type);
        for (int i = 0; i < weights.Length; i++)
        {
            double step = Scale16.ToFloat(back.Scales[Int8Layout.ScaleIndex(i / Columns, i % Columns / 128, 4)], type);

            // The division weight / scale, up to 127, is itself rounded to 2^-24.
            Assert.That(restored[i], Is.EqualTo(weights[i]).Within(step * (0.5 + (127.0 / (1 << 24)))));
            Assert.That(back.Code(i / Columns, i % Columns), Is.InRange(-127, 127));
        }
    }

    [Test]
    public void TurnsZerosIntoZeros()
    {
        WeightMatrix packed = Quantize(WeightType.Bf16, new UInt4[16 * 16], 16, 128, 128, WeightType.F16, 16);

        Assert.That(Device.Download(packed.Scales), Has.All.Zero);
        Assert.That(Device.Download(packed.Data).Select(c => c.X | c.Y | c.Z | c.W), Has.All.Zero);
    }

    [Test]
    public void RejectsABlockThatBeginsInsideATile() => Assert.That(
        () => Quantize(WeightType.F32, new UInt4[48 * 32], 48, 128, 128, WeightType.Bf16, blockRows: 24),
        Throws.ArgumentException.With.Message.EqualTo(
            "round_to_nearest_int8: block ends at row 24, neither a multiple of 16 nor the last, 48"));

    private static WeightMatrix Quantize(
        WeightType type, UInt4[] words, int rows, int columns, int groupSize, WeightType scaleType, int blockRows)
    {
        WeightMatrix packed = Quantized.PoisonedInt8(Device, rows, columns, groupSize, scaleType);
        var weights = WeightMatrix.Dense(type, Device.Upload(words), rows, columns);
        for (int row = 0; row < rows; row += blockRows)
            Device.Run(RoundToNearestInt8.Bind(Device.Loader, weights.Slice(row, Math.Min(blockRows, rows - row)), row, packed));
        return packed;
    }
}
