namespace QwenIlgpu.Kernels.Tests;

internal sealed class Fp4LayoutTests
{
    [Test]
    public void ReadsEveryE2M1() => Assert.That(
        Enumerable.Range(0, 16).Select(c => E2M1.ToFloat((uint)c | 0xfffffff0u)),
        Is.EqualTo(new[] { 0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0f, -0.5f, -1, -1.5f, -2, -3, -4, -6 }));

    // 0x7f and 0xff are NaN, which are no scales.
    [Test]
    public void ReadsEveryE4M3()
    {
        foreach (int bits in Enumerable.Range(0, 256).Where(b => b % 128 != 127))
            Assert.That((double)Fp8.ToFloat((uint)bits | 0xabcdef00u), Is.EqualTo(Fp4Reference.ScaleValue((byte)bits)), $"{bits:x2}");
    }

    // Zero, the smallest, the largest subnormal, the smallest normal; one; its neighbour; the largest; negatives.
    [TestCase(0x00, 0)]
    [TestCase(0x01, 0.001953125)]
    [TestCase(0x07, 0.013671875)]
    [TestCase(0x08, 0.015625)]
    [TestCase(0x38, 1)]
    [TestCase(0x39, 1.125)]
    [TestCase(0x7e, 448)]
    [TestCase(0xb8, -1)]
    [TestCase(0x83, -0.005859375)]
    public void KnowsE4M3(int bits, double value) => Assert.That(Fp4Reference.ScaleValue((byte)bits), Is.EqualTo(value));

    [TestCase(1, 1)]
    [TestCase(33, 208)]
    [TestCase(16, 64)]
    public void GivesEveryScaleItsOwnByteAndLeavesNone(int rows, int columns)
    {
        int slots = Fp4Layout.Slots(columns);
        int paddedRows = Int4Layout.RowTiles(rows) * 16;
        var taken = new HashSet<(long, int)>();
        for (int row = 0; row < paddedRows; row++)
        {
            for (int half = 0; half < 2; half++)
                Assert.That(taken.Add((Fp4Layout.SlotIndex(row, 0, slots), 8 * half)) && taken.Add((Fp4Layout.SlotIndex(row, 1, slots), 8 * half)));
            for (int k = 0; k < 64 * Fp4Layout.ColumnTiles(columns); k++)
                Assert.That(taken.Add(Fp4Layout.ScalePosition(row, k, slots)), Is.EqualTo(k % 16 == 0), $"({row}, {k})");
        }

        Assert.That(taken, Has.Count.EqualTo(Fp4Layout.ScaleBytes(rows, columns)));
        Assert.That(taken, Has.All.Matches<(long Index, int Shift)>(p => p.Index >= 0 && p.Index < Fp4Layout.ScaleBytes(rows, columns) / 2));
    }

    // Of [20, 160] row tile 1 begins at slot 8; k 112 … 127 are step 3 of tile 1.
    [TestCase(0, 0, 2 * 16, 0)]
    [TestCase(5, 16, (2 * 16) + 5, 8)]
    [TestCase(5, 32, (3 * 16) + 5, 0)]
    [TestCase(19, 127, (8 * 16) + (5 * 16) + 3, 8)]
    public void KeepsScalesBesideTheirTile(int row, int k, long index, int shift) =>
        Assert.That(Fp4Layout.ScalePosition(row, k, Fp4Layout.Slots(160)), Is.EqualTo((index, shift)));

    [Test]
    public void CountsBeyondTwoGigabytes()
    {
        Assert.That(Fp4Layout.CodeBytes(1_000_000, 8192), Is.EqualTo(4_096_000_000));
        Assert.That(Fp4Layout.ScaleBytes(5_000_000, 8192), Is.EqualTo(5_000_000L * 258 * 2));
    }
}
