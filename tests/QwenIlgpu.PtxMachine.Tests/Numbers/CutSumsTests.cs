namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class CutSumsTests
{
    private static readonly double Ulp = Math.ScaleB(1, -23);

    [Test]
    public void TermsBelowTheLastKeptBitAreCut()
    {
        double small = Math.ScaleB(1, -12);
        var tile = new Tile(TileFormat.F16);
        for (int k = 0; k < tile.Depth; k++)
            tile.Product(k, small, small);
        tile.Accumulator(0, 0, 1);

        Assert.Multiple(() =>
        {
            Assert.That(tile.First(), Is.EqualTo((float)(1 + (8 * Ulp))));
            Assert.That(tile.First(TensorCoreSums.Cut), Is.EqualTo(1f));
        });
    }

    [Test]
    public void CutsTowardZeroOnBothSides()
    {
        double part = Math.ScaleB(1.5, -12);
        double whole = Math.ScaleB(1, -11);
        Assert.Multiple(() =>
        {
            Assert.That(Cut(new Tile(TileFormat.F16).Product(0, part, -whole).Accumulator(0, 0, 1)), Is.EqualTo((float)(1 - Ulp)));
            Assert.That(Cut(new Tile(TileFormat.F16).Product(0, part, whole).Accumulator(0, 0, -1)), Is.EqualTo((float)(-1 + Ulp)));
            Assert.That(Cut(new Tile(TileFormat.F16).Product(0, part, whole).Accumulator(0, 0, 1)), Is.EqualTo((float)(1 + Ulp)));
        });
    }

    // 1.5 · 1.5 has the exponent of 1, so 2^-23 beside it is kept; 2.25 as an accumulator has that of 2.
    [Test]
    public void ProductsHaveTheSumOfTheirOperandsExponents()
    {
        double small = Math.ScaleB(1, -12);
        Tile product = new Tile(TileFormat.F16).Product(0, 1.5, 1.5).Product(1, small, 2 * small).Product(2, small, 2 * small);
        Tile accumulator = new Tile(TileFormat.F16).Accumulator(0, 0, 2.25f).Product(1, small, 2 * small).Product(2, small, 2 * small);

        Assert.Multiple(() =>
        {
            Assert.That(Cut(product), Is.EqualTo((float)(2.25 + (2 * Ulp))));
            Assert.That(Cut(accumulator), Is.EqualTo(2.25f));
        });
    }

    [Test]
    public void CutsTheSumTowardZero()
    {
        double small = Math.ScaleB(1, -12);
        Assert.Multiple(() =>
        {
            Assert.That(
                Cut(new Tile(TileFormat.F16).Product(0, 1.5, 1.5).Product(1, small, 6 * small)), Is.EqualTo((float)(2.25 + (2 * Ulp))));
            Assert.That(
                Cut(new Tile(TileFormat.F16).Product(0, 1.5, -1.5).Product(1, -small, 6 * small)), Is.EqualTo((float)(-2.25 - (2 * Ulp))));
            Assert.That(
                Cut(new Tile(TileFormat.Bf16).Product(0, Math.ScaleB(1, -75), Math.ScaleB(1.75, -74))), Is.EqualTo(float.Epsilon));
        });
    }

    // As a number 2^-24 would leave 2^-38 beside it; as a subnormal f16 it has the exponent −14.
    [Test]
    public void SubnormalOperandsHaveTheLeastExponent()
    {
        Tile tile = new Tile(TileFormat.F16).Product(0, Math.ScaleB(1, -24), 1).Accumulator(0, 0, MathF.ScaleB(1, -38));

        Assert.Multiple(() =>
        {
            Assert.That(Cut(tile), Is.EqualTo(MathF.ScaleB(1, -24)));
            Assert.That(tile.First(), Is.EqualTo(MathF.ScaleB(1, -24) + MathF.ScaleB(1, -38)));
        });
    }

    [Test]
    public void OverflowsFromTheFloatAboveTheGreatest()
    {
        double step = Math.ScaleB(1, 104);
        Assert.Multiple(() =>
        {
            Assert.That(
                Cut(new Tile(TileFormat.Bf16).Product(0, step, 1).Accumulator(0, 0, float.MaxValue)), Is.EqualTo(float.PositiveInfinity));
            Assert.That(
                Cut(new Tile(TileFormat.Bf16).Product(0, step / 2, 1).Accumulator(0, 0, float.MaxValue)), Is.EqualTo(float.MaxValue));
        });
    }

    // Seventeen terms lose less than 2^(E − 23) each, the sum less than its own last bit.
    [Test]
    public void StaysWithinItsBound([Values] TileFormat format, [Values(1, 6, 13)] int bits)
    {
        var random = new Random(bits);
        int different = 0;
        for (int i = 0; i < 20; i++)
        {
            Tile tile = new Tile(format).FillWithNumbers(random, bits, bits, bits);
            float[] d = tile.Multiply(TensorCoreSums.Cut);
            for (int row = 0; row < Tile.Rows; row++)
            {
                for (int column = 0; column < Tile.Columns; column++)
                {
                    float actual = tile.SumOf(d, row, column);
                    ExactNumber exact = tile.Exact(row, column);
                    double lastBit = Math.ScaleB(1, Math.ILogB(actual) - 23);
                    double bound = ((tile.Depth + 1) * Math.ScaleB(1, LargestExponent(tile, row, column) - 23)) + lastBit;
                    ExactNumber error = (ExactNumber.Of(actual) - exact).Magnitude;

                    Assert.That(error.Units, Is.LessThan(ExactNumber.Of(bound).Units));
                    different += BitConverter.SingleToUInt32Bits(actual) != exact.RoundToFloat() ? 1 : 0;
                }
            }
        }

        Assert.That(different, Is.GreaterThan(100), "sums that rounding would have made others");
    }

    private static int LargestExponent(Tile tile, int row, int column)
    {
        int largest = Math.ILogB(tile.SumOf(tile.Accumulators, row, column));
        for (int k = 0; k < tile.Depth; k++)
            largest = Math.Max(largest, Math.ILogB(tile.LeftValue(row, k)) + Math.ILogB(tile.RightValue(k, column)));
        return largest;
    }

    private static float Cut(Tile tile) => tile.First(TensorCoreSums.Cut);
}
