using QwenIlgpu.PtxMachine.Numbers;

namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class TensorCorePlacesTests
{
    // Written out from the fragment tables; the other tests compute the places.
    [TestCase(TileFormat.F16, 0, 0, 0, 0)]
    [TestCase(TileFormat.F16, 9, 11, 3, 5)]
    [TestCase(TileFormat.F16, 8, 7, 1, 3)]
    [TestCase(TileFormat.F16, 7, 15, 2, 31)]
    [TestCase(TileFormat.Tf32, 0, 3, 0, 3)]
    [TestCase(TileFormat.Tf32, 9, 6, 3, 6)]
    [TestCase(TileFormat.Tf32, 15, 1, 1, 29)]
    [TestCase(TileFormat.Tf32, 2, 4, 2, 8)]
    public void LeftElementsLieWhereTheTableSays(TileFormat format, int row, int k, int register, int lane) =>
        Assert.That(new Tile(format).LeftPlace(row, k), Is.EqualTo((register, lane)));

    [TestCase(TileFormat.F16, 0, 3, 0, 12)]
    [TestCase(TileFormat.F16, 7, 1, 0, 7)]
    [TestCase(TileFormat.F16, 13, 6, 1, 26)]
    [TestCase(TileFormat.Tf32, 3, 2, 0, 11)]
    [TestCase(TileFormat.Tf32, 5, 7, 1, 29)]
    public void RightElementsLieWhereTheTableSays(TileFormat format, int k, int column, int register, int lane) =>
        Assert.That(new Tile(format).RightPlace(k, column), Is.EqualTo((register, lane)));

    [TestCase(0, 0, 0, 0)]
    [TestCase(3, 5, 1, 14)]
    [TestCase(8, 2, 2, 1)]
    [TestCase(15, 7, 3, 31)]
    public void SumsLieWhereTheTableSays(int row, int column, int register, int lane) =>
        Assert.That(Tile.SumPlace(row, column), Is.EqualTo((register, lane)));

    [Test]
    public void OneProductComesToOneElement(
        [Values] TileFormat format, [Values] TensorCoreSums sums, [Values(0, 1, 2, 3, 4, 5, 6, 7)] int column)
    {
        int depth = new Tile(format).Depth;
        for (int row = 0; row < Tile.Rows; row++)
        {
            for (int k = 0; k < depth; k++)
            {
                var expected = new float[128];
                (int register, int lane) = Tile.SumPlace(row, column);
                expected[(32 * register) + lane] = -6;

                float[] actual = new Tile(format).Left(row, k, 2).Right(k, column, -3).Multiply(sums);

                Assert.That(actual, Is.EqualTo(expected), $"row {row}, k {k}");
            }
        }
    }

    [Test]
    public void ElementsOfDifferentDepthDoNotMeet([Values] TileFormat format)
    {
        var tile = new Tile(format);
        for (int k = 0; k < tile.Depth; k++)
        {
            for (int other = 0; other < tile.Depth; other++)
            {
                if (other != k)
                    Assert.That(new Tile(format).Left(3, k, 2).Right(other, 5, 3).Multiply(), Is.All.Zero, $"{k}, {other}");
            }
        }
    }

    [Test]
    public void AccumulatorsStayWhereTheyAre([Values] TileFormat format, [Values] TensorCoreSums sums)
    {
        var tile = new Tile(format);
        for (int i = 0; i < 128; i++)
            tile.Accumulators[i] = i + 0.5f;

        Assert.That(tile.Multiply(sums), Is.EqualTo(tile.Accumulators));
    }

    [Test]
    public void SumsMayReplaceTheAccumulators([Values] TileFormat format, [Values] TensorCoreSums sums, [Values(2, 40)] int bits)
    {
        Tile tile = new Tile(format).FillWithNumbers(new Random(7), 2, 2, bits);
        float[] expected = tile.Multiply(sums);
        float[] both = [.. tile.Accumulators];

        if (format == TileFormat.Tf32)
            TensorCore.MultiplyTf32(tile.LeftRegisters, tile.RightRegisters, both, both, sums);
        else
            TensorCore.MultiplyHalf(tile.LeftRegisters, tile.RightRegisters, both, both, format == TileFormat.Bf16, sums);

        Assert.That(both, Is.EqualTo(expected));
    }

    [Test]
    public void UndefinedElementsTaintTheirRowAndColumn([Values] TileFormat format)
    {
        var tile = new Tile(format);
        Assert.That(Taint(new uint[4], new uint[2], new uint[4]), Is.All.Zero);
        for (int k = 0; k < tile.Depth; k++)
        {
            for (int row = 0; row < Tile.Rows; row++)
            {
                int of = row;
                Assert.That(Taint(One(4, tile.LeftPlace(row, k)), new uint[2], new uint[4]), Is.EqualTo(Marked((r, _) => r == of)));
            }

            for (int column = 0; column < Tile.Columns; column++)
            {
                int of = column;
                Assert.That(
                    Taint(new uint[4], One(2, tile.RightPlace(k, column)), new uint[4]), Is.EqualTo(Marked((_, c) => c == of)));
            }
        }

        uint[] all = Taint(One(4, tile.LeftPlace(12, 5)), One(2, tile.RightPlace(2, 3)), One(4, Tile.SumPlace(1, 6)));
        Assert.That(all, Is.EqualTo(Marked((r, c) => r == 12 || c == 3 || (r == 1 && c == 6))));
    }

    [Test]
    public void UndefinedLanesMayReplaceThoseOfTheAccumulator()
    {
        uint[] both = [1, 0, 0, 1u << 31];

        TensorCore.Taint([0, 1u << 4, 0, 0], [0, 0], both, both);

        Assert.That(both, Is.EqualTo(new uint[] { 1, 0, 0xf0, (1u << 31) | 0xf0 }));
    }

    private static uint[] Taint(uint[] a, uint[] b, uint[] c)
    {
        uint[] d = [9, 9, 9, 9];
        TensorCore.Taint(a, b, c, d);
        return d;
    }

    private static uint[] One(int registers, (int Register, int Lane) place)
    {
        uint[] masks = new uint[registers];
        masks[place.Register] = 1u << place.Lane;
        return masks;
    }

    private static uint[] Marked(Func<int, int, bool> isMarked)
    {
        uint[] masks = new uint[4];
        for (int row = 0; row < Tile.Rows; row++)
        {
            for (int column = 0; column < Tile.Columns; column++)
            {
                (int register, int lane) = Tile.SumPlace(row, column);
                masks[register] |= isMarked(row, column) ? 1u << lane : 0;
            }
        }

        return masks;
    }
}
