using QwenIlgpu.PtxMachine.Numbers;

namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class RoundedSumsTests
{
    private static readonly float Ulp = MathF.ScaleB(1, -23);

    [Test]
    public void TiesGoToEven()
    {
        double half = Math.ScaleB(1, -12);
        Assert.Multiple(() =>
        {
            Assert.That(new Tile(TileFormat.F16).Product(0, half, half).Accumulator(0, 0, 1).First(), Is.EqualTo(1f));
            Assert.That(new Tile(TileFormat.F16).Product(0, half, half).Accumulator(0, 0, 1 + Ulp).First(), Is.EqualTo(1 + (2 * Ulp)));
            Assert.That(new Tile(TileFormat.F16).Product(0, half, -half).Accumulator(0, 0, -1).First(), Is.EqualTo(-1f));
        });
    }

    [TestCase(TileFormat.F16, -24)]
    [TestCase(TileFormat.Bf16, -60)]
    [TestCase(TileFormat.Tf32, -60)]
    public void TheLeastBitDecidesATie(TileFormat format, int exponent)
    {
        double half = Math.ScaleB(1, -12);
        double least = Math.ScaleB(1, exponent);
        Assert.Multiple(() =>
        {
            Assert.That(
                new Tile(format).Product(3, half, half).Product(5, least, least).Accumulator(0, 0, 1).First(), Is.EqualTo(1 + Ulp));
            Assert.That(
                new Tile(format).Product(3, half, half).Product(5, least, -least).Accumulator(0, 0, 1 + Ulp).First(), Is.EqualTo(1 + Ulp));
        });
    }

    [Test]
    public void SmallTermsSurviveLargeOnesThatCancel()
    {
        double large = Math.ScaleB(1, 60);
        double half = Math.ScaleB(1, -12);
        double least = Math.ScaleB(1, -65);

        Tile tile = new Tile(TileFormat.Bf16)
            .Product(0, large, large)
            .Product(2, least, least)
            .Product(4, half, half)
            .Product(6, 1, 1)
            .Product(15, -large, large);

        Assert.That(tile.First(), Is.EqualTo(1 + Ulp));
    }

    [Test]
    public void OverflowsFromHalfAStepAboveTheGreatestFloat()
    {
        double half = Math.ScaleB(1, 103);
        double below = Math.ScaleB(255, 95);
        Assert.Multiple(() =>
        {
            Assert.That(
                new Tile(TileFormat.Bf16).Product(0, half, 1).Accumulator(0, 0, float.MaxValue).First(),
                Is.EqualTo(float.PositiveInfinity));
            Assert.That(
                new Tile(TileFormat.Bf16).Product(0, below, 1).Accumulator(0, 0, float.MaxValue).First(), Is.EqualTo(float.MaxValue));
            Assert.That(
                new Tile(TileFormat.Bf16).Product(0, half, -1).Accumulator(0, 0, float.MinValue).First(),
                Is.EqualTo(float.NegativeInfinity));
            Assert.That(
                new Tile(TileFormat.Bf16).Product(0, half, 1).Product(1, half, -1).Accumulator(0, 0, float.MaxValue).First(),
                Is.EqualTo(float.MaxValue));
        });
    }

    [Test]
    public void KeepsSubnormals()
    {
        double least = Math.ScaleB(1, -24);
        double root = Math.ScaleB(1, -75);
        Assert.Multiple(() =>
        {
            Assert.That(new Tile(TileFormat.F16).Product(9, least, least).First(), Is.EqualTo(MathF.ScaleB(1, -48)));
            Assert.That(new Tile(TileFormat.F16).Product(9, 3 * least, 1024).First(), Is.EqualTo(3 * MathF.ScaleB(1, -14)));
            Assert.That(new Tile(TileFormat.Bf16).RightBits(1, 0, 1).Left(0, 1, 1).First(), Is.EqualTo(MathF.ScaleB(1, -133)));
            Assert.That(new Tile(TileFormat.Bf16).Product(1, root, root).First(), Is.Zero);
            Assert.That(new Tile(TileFormat.Bf16).Product(1, root, 1.5 * root).First(), Is.EqualTo(float.Epsilon));
            Assert.That(
                new Tile(TileFormat.Bf16).Product(1, root, root).Accumulator(0, 0, float.Epsilon).First(), Is.EqualTo(2 * float.Epsilon));
            Assert.That(new Tile(TileFormat.Tf32).RightBits(1, 0, 0x2000).Left(0, 1, -1).First(), Is.EqualTo(-MathF.ScaleB(1, -136)));
        });
    }

    [Test]
    public void IgnoresTheLowerBitsOfTf32() =>
        Assert.That(
            new Tile(TileFormat.Tf32).LeftBits(0, 2, 0x3f801fff).RightBits(2, 0, 0x40003fff).First(), Is.EqualTo(2 + MathF.ScaleB(1, -9)));

    [TestCase(float.NaN, 1, 0)]
    [TestCase(1, float.NaN, 0)]
    [TestCase(1, 1, float.NaN)]
    [TestCase(float.PositiveInfinity, 0, 0)]
    [TestCase(0, float.NegativeInfinity, 0)]
    [TestCase(float.PositiveInfinity, 1, float.NegativeInfinity)]
    [TestCase(float.NegativeInfinity, -1, float.NegativeInfinity)]
    public void GivesTheOneNaN(float left, float right, float accumulator)
    {
        foreach (TileFormat format in Enum.GetValues<TileFormat>())
        {
            foreach (TensorCoreSums sums in Enum.GetValues<TensorCoreSums>())
            {
                Tile tile = new Tile(format).Product(5, left, right).Accumulator(0, 0, accumulator).Left(1, 5, 2).Accumulator(1, 1, 3);
                float[] d = tile.Multiply(sums);

                Assert.That(BitConverter.SingleToUInt32Bits(d[0]), Is.EqualTo(0x7fffffffu), $"{format} {sums}");
                Assert.That(tile.SumOf(d, 1, 1), Is.EqualTo(3), "an element beside");
            }
        }
    }

    [Test]
    public void InfinitiesOfOneSignStay([Values] TileFormat format, [Values] TensorCoreSums sums)
    {
        Tile tile = new Tile(format).Product(0, float.PositiveInfinity, -2).Product(3, 1, float.NegativeInfinity).Product(4, 100, 100);

        Assert.That(tile.First(sums), Is.EqualTo(float.NegativeInfinity));
    }

    // IEEE: a sum of zeros is −0 where all of them are, and what cancels is +0.
    [Test]
    public void ZerosHaveTheSignOfAllTerms([Values] TileFormat format, [Values] TensorCoreSums sums, [Values] bool isAmongWideNumbers)
    {
        Tile Negative()
        {
            var tile = new Tile(format);
            for (int k = 0; k < tile.Depth; k++)
                tile.Product(k, -0.0, 1);
            if (isAmongWideNumbers)
            {
                tile.Left(5, 0, Math.ScaleB(1, -14)).Right(0, 5, Math.ScaleB(1, -14));
                tile.Left(5, 1, 32768).Right(1, 5, 32768).Accumulator(7, 7, 1e-30f);
            }

            return tile;
        }

        Assert.Multiple(() =>
        {
            Assert.That(BitConverter.SingleToUInt32Bits(Negative().Accumulator(0, 0, -0f).First(sums)), Is.EqualTo(0x80000000u));
            Assert.That(BitConverter.SingleToUInt32Bits(Negative().First(sums)), Is.Zero);
            Assert.That(BitConverter.SingleToUInt32Bits(Negative().Product(2, 0, 1).Accumulator(0, 0, -0f).First(sums)), Is.Zero);
            Assert.That(BitConverter.SingleToUInt32Bits(Negative().Product(2, -1, 1).Accumulator(0, 0, 1).First(sums)), Is.Zero);
        });
    }

    [Test]
    public void RoundsAnyExponentsOnce([Values] TileFormat format)
    {
        var random = new Random(20 + (int)format);
        for (int i = 0; i < 30; i++)
            CheckAgainstIntegers(new Tile(format).FillWithAnything(random));
    }

    // Spans at which sums begin to need more than one double, and more than two.
    [Test]
    public void RoundsWideExponentsOnce(
        [Values] TileFormat format, [Values(1, 8, 14, 20, 24)] int bits, [Values(1, 30, 90)] int accumulatorBits)
    {
        var random = new Random(bits + accumulatorBits);
        for (int i = 0; i < 5; i++)
            CheckAgainstIntegers(new Tile(format).FillWithNumbers(random, bits, bits, accumulatorBits));
    }

    [Test]
    public void PathsAgree([Values] TileFormat format)
    {
        var random = new Random(3);
        int fitting = 0;
        for (int i = 0; i < 400; i++)
        {
            int bits = 1 + (i % 14);
            Tile tile = new Tile(format).FillWithNumbers(random, bits, bits, bits);
            double[] left = new double[TileOperands.LeftCount];
            double[] right = new double[TileOperands.RightCount];
            ExponentRange a = Load(format, tile, left, right, out ExponentRange b);
            if (!RoundedSums.FitDoubles(a, b, ExponentRange.OfFloats(Bits(tile.Accumulators))))
                continue;
            float[] fast = new float[128];
            float[] any = new float[128];
            RoundedSums.AddFitting(left, right, tile.Accumulators, fast);
            RoundedSums.AddAny(left, right, tile.Accumulators, any);

            Assert.That(Bits(fast), Is.EqualTo(Bits(any)));
            fitting++;
        }

        Assert.That(fitting, Is.GreaterThan(100), "tiles that fit");
    }

    // f16 of one exponent: products are multiples of 2^-20 below 4, sixteen below 2^6; the sum with a float below 2^6 stays below 2^7.
    [Test]
    public void SumsFitUpToFiftyThreeBits()
    {
        uint[] ones = [.. Enumerable.Repeat(0x3c003c00u, 64)];
        ExponentRange one = ExponentRange.OfHalves<F16Lanes>(ones);
        ExponentRange Accumulator(int unit) => new(unit, 6, true);

        Assert.Multiple(() =>
        {
            Assert.That(one, Is.EqualTo(new ExponentRange(-10, 1, true)));
            Assert.That(RoundedSums.FitDoubles(one, one, Accumulator(-46)), Is.True);
            Assert.That(RoundedSums.FitDoubles(one, one, Accumulator(-47)), Is.False);
            Assert.That(RoundedSums.FitDoubles(one, one, Accumulator(-46) with { IsFinite = false }), Is.False);
            Assert.That(RoundedSums.FitDoubles(one, one, Accumulator(-46) with { Top = 7 }), Is.False);
        });
    }

    [TestCase(0x00010000u, 0x3c000000u, -24, 1, true)]
    [TestCase(0x00008000u, 0x84000400u, -24, -13, true)]
    [TestCase(0x7bff0000u, 0x0000fbffu, 5, 16, true)]
    [TestCase(0x7c000000u, 0x3c000000u, -10, 17, false)]
    [TestCase(0xfe000000u, 0x3c000000u, -10, 17, false)]
    public void RangesOfHalvesAreThoseOfTheirExponents(uint first, uint second, int unit, int top, bool isFinite)
    {
        uint[] words = new uint[16];
        words[3] = first;
        words[14] = second;

        Assert.That(ExponentRange.OfHalves<F16Lanes>(words), Is.EqualTo(new ExponentRange(unit, top, isFinite)));
    }

    [TestCase(0x3f800000u, -23, 1, true)]
    [TestCase(0x80000001u, -149, -125, true)]
    [TestCase(0xff7fffffu, 104, 128, true)]
    [TestCase(0x7f800000u, 105, 129, false)]
    public void RangesOfFloatsAreThoseOfTheirExponents(uint word, int unit, int top, bool isFinite)
    {
        uint[] words = new uint[32];
        words[31] = word;

        Assert.That(ExponentRange.OfFloats(words), Is.EqualTo(new ExponentRange(unit, top, isFinite)));
    }

    private static void CheckAgainstIntegers(Tile tile)
    {
        float[] d = tile.Multiply();
        for (int row = 0; row < Tile.Rows; row++)
        {
            for (int column = 0; column < Tile.Columns; column++)
            {
                uint expected = tile.Exact(row, column).RoundToFloat();
                Assert.That(BitConverter.SingleToUInt32Bits(tile.SumOf(d, row, column)), Is.EqualTo(expected), $"{row}, {column}");
            }
        }
    }

    private static ExponentRange Load(TileFormat format, Tile tile, double[] left, double[] right, out ExponentRange b)
    {
        ReadOnlySpan<uint> leftWords = tile.LeftRegisters;
        ReadOnlySpan<uint> rightWords = tile.RightRegisters;
        switch (format)
        {
            case TileFormat.F16:
                TileOperands.LoadHalves<F16Lanes>(leftWords, rightWords, left, right);
                b = ExponentRange.OfHalves<F16Lanes>(rightWords);
                return ExponentRange.OfHalves<F16Lanes>(leftWords);
            case TileFormat.Bf16:
                TileOperands.LoadHalves<Bf16Lanes>(leftWords, rightWords, left, right);
                b = ExponentRange.OfHalves<Bf16Lanes>(rightWords);
                return ExponentRange.OfHalves<Bf16Lanes>(leftWords);
            default:
                TileOperands.LoadTf32(leftWords, rightWords, left, right);
                b = ExponentRange.OfTf32(rightWords);
                return ExponentRange.OfTf32(leftWords);
        }
    }

    private static uint[] Bits(float[] values) => [.. values.Select(BitConverter.SingleToUInt32Bits)];
}
