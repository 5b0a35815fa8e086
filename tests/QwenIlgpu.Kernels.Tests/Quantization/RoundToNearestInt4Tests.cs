namespace QwenIlgpu.Kernels.Tests;

internal sealed class RoundToNearestInt4Tests(PortableTier tier) : PortableTests(tier)
{
    private static IEnumerable<TestCaseData> Cases() =>
        from type in Enum.GetValues<WeightType>()
        from scaleType in new[] { WeightType.F16, WeightType.Bf16 }
        from shape in new[]
        {
            (1, 3, 64), (16, 128, 128), (37, 131, 64), (48, 1000, 128), (20, 5120, 128), (37, 72, 32), (17, 1000, 32), (48, 5120, 32),
        }
        select new TestCaseData(type, scaleType, shape.Item1, shape.Item2, shape.Item3);

    [TestCaseSource(nameof(Cases))]
    public void MatchesReference(object weightType, object scaleType, int rows, int columns, int groupSize)
    {
        var type = (WeightType)weightType;
        var scale = (WeightType)scaleType;
        UInt4[] words = DenseReference.Pack(type, Seeded.Floats(rows * columns, rows * columns), rows, columns);

        WeightMatrix packed = Quantize(type, words, rows, columns, groupSize, scale, blockRows: 32);

        double[] weights = DenseReference.Unpack(type, words, rows, columns);
        Int4Reference expected = Int4Reference.FromWeights(weights, rows, columns, groupSize, scale);
        Assert.That(Device.Download(packed.Data), Is.EqualTo(expected.Codes));
        Assert.That(Device.Download(packed.Scales), Is.EqualTo(expected.Scales));
    }

    [Test]
    public void RejectsADestinationWithZeroPoints()
    {
        var destination = WeightMatrix.Int4(
            Device.Poisoned<UInt4>(32), Device.Poisoned<ushort>(16), Device.Poisoned<byte>(16), WeightType.F16, 16, 64, 64);

        Assert.That(
            () => RoundToNearestInt4.Bind(
                Device.Loader, WeightMatrix.Dense(WeightType.F32, Device.Poisoned<UInt4>(256), 16, 64), 0, destination),
            Throws.ArgumentException.With.Message.EqualTo("round_to_nearest_int4: destination INT4 g64 [16, 64] has zero points"));
    }

    [TestCase(1e-3f)]
    [TestCase(40f)]
    public void KeepsEveryWeightWithinHalfAStep(float largest)
    {
        const int Rows = 16;
        const int Columns = 512;
        float[] weights = Seeded.Floats(5, Rows * Columns, largest);
        weights[0] = largest;
        weights[200] = -largest;
        UInt4[] words = DenseReference.Pack(WeightType.F32, weights, Rows, Columns);

        WeightMatrix packed = Quantize(WeightType.F32, words, Rows, Columns, 128, WeightType.Bf16, Rows);

        var back = new Int4Reference(Rows, Columns, 128, Device.Download(packed.Data), Device.Download(packed.Scales));
        double[] restored = back.Unpack(WeightType.Bf16);
        for (int i = 0; i < weights.Length; i++)
        {
            // Half a step, and what rounding the scale to 2^-9 moves the outermost code by.
            double step = Bf16.ToFloat(back.Scales[Int4Layout.ScaleIndex(i / Columns, i % Columns / 128, 4)]);
            Assert.That(restored[i], Is.EqualTo(weights[i]).Within(step * (0.5 + (7.5 / 256))));
        }
    }

    [Test]
    public void TurnsZerosIntoZeros()
    {
        WeightMatrix packed = Quantize(WeightType.Bf16, new UInt4[16 * 16], 16, 128, 128, WeightType.F16, 16);

        Assert.That(Device.Download(packed.Scales), Has.All.Zero);
        Assert.That(Device.Download(packed.Data).Select(c => c.X | c.Y | c.Z | c.W), Has.All.EqualTo(0x88888888u));
    }

    // A power of two goes to the scales alone, which bf16 holds far beyond f16's range.
    [TestCase(30)]
    [TestCase(-30)]
    [TestCase(100)]
    public void ScalesOfBf16FollowTheWeights(int exponent)
    {
        float[] weights = Seeded.Floats(9, 16 * 128, 1);
        WeightMatrix packed = Quantize(WeightType.F32, DenseReference.Pack(WeightType.F32, weights, 16, 128), 16, 128, 128, WeightType.Bf16, 16);
        float[] far = [.. weights.Select(w => MathF.ScaleB(w, exponent))];
        WeightMatrix farther = Quantize(WeightType.F32, DenseReference.Pack(WeightType.F32, far, 16, 128), 16, 128, 128, WeightType.Bf16, 16);

        Assert.That(Device.Download(farther.Data), Is.EqualTo(Device.Download(packed.Data)));
        Assert.That(
            Device.Download(farther.Scales).Select(Bf16.ToFloat),
            Is.EqualTo(Device.Download(packed.Scales).Select(s => MathF.ScaleB(Bf16.ToFloat(s), exponent))));
    }

    [Test]
    public void KeepsHugeWeightsFiniteInF16Scales()
    {
        UInt4[] words = DenseReference.Pack(WeightType.F32, [3e8f, -1e5f, .. new float[126]], 1, 128);

        WeightMatrix packed = Quantize(WeightType.F32, words, 1, 128, 128, WeightType.F16, 1);

        var back = new Int4Reference(1, 128, 128, Device.Download(packed.Data), Device.Download(packed.Scales));
        Assert.That(back.Unpack(WeightType.F16)[..2], Is.EqualTo(new[] { 7 * 65504.0, -2 * 65504.0 }));
    }

    [Test]
    public void RejectsABlockThatBeginsInsideATile() => Assert.That(
        () => Quantize(WeightType.F32, new UInt4[48 * 32], 48, 128, 128, WeightType.Bf16, blockRows: 24),
        Throws.ArgumentException.With.Message.EqualTo(
            "round_to_nearest_int4: block ends at row 24, neither a multiple of 16 nor the last, 48"));

    private static WeightMatrix Quantize(
        WeightType type, UInt4[] words, int rows, int columns, int groupSize, WeightType scaleType, int blockRows)
    {
        WeightMatrix packed = Quantized.PoisonedInt4(Device, rows, columns, groupSize, scaleType, hasZeros: false);
        var weights = WeightMatrix.Dense(type, Device.Upload(words), rows, columns);
        for (int row = 0; row < rows; row += blockRows)
            Device.Run(RoundToNearestInt4.Bind(Device.Loader, weights.Slice(row, Math.Min(blockRows, rows - row)), row, packed));
        return packed;
    }
}
