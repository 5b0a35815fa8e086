namespace QwenIlgpu.Kernels.Tests;

internal sealed class Int4LayoutTests
{
    [TestCase(1, 1, 64)]
    [TestCase(33, 200, 64)]
    [TestCase(48, 640, 128)]
    [TestCase(37, 96, 32)]
    [TestCase(16, 128, 32)]
    public void GivesEveryCodeItsOwnNibbleAndLeavesNone(int rows, int columns, int groupSize)
    {
        int tiles = Int4Layout.ColumnTiles(columns, groupSize);
        int paddedRows = Int4Layout.RowTiles(rows) * 16;
        var taken = new HashSet<(long, int, int)>();

        for (int row = 0; row < paddedRows; row++)
        {
            for (int k = 0; k < tiles * 64; k++)
                Assert.That(taken.Add(Int4Layout.Position(row, k, tiles)), Is.True, $"({row}, {k})");
        }

        long bytes = Int4Layout.CodeBytes(rows, columns, groupSize);
        Assert.That(taken, Has.Count.EqualTo(bytes * 2));
        Assert.That(taken, Has.All.Matches<(long Lane, int Word, int Nibble)>(
            p => p.Lane >= 0 && p.Lane < bytes / 16 && p.Word is >= 0 and < 4 && p.Nibble is >= 0 and < 8));
    }

    // The A operand of m16n8k16: register 0 (g, 2t), 1 (g + 8, 2t), 2 (g, 2t + 8), 3 (g + 8, 2t + 8), two elements each.
    [TestCase(0, 0, 0, 0, 0)]
    [TestCase(0, 1, 0, 0, 4)]
    [TestCase(8, 0, 0, 0, 1)]
    [TestCase(8, 1, 0, 0, 5)]
    [TestCase(0, 8, 0, 0, 2)]
    [TestCase(0, 9, 0, 0, 6)]
    [TestCase(8, 8, 0, 0, 3)]
    [TestCase(8, 9, 0, 0, 7)]
    [TestCase(3, 6, 15, 0, 0)]
    [TestCase(15, 63, 31, 3, 7)]
    [TestCase(2, 64 + 18, 32 + 9, 1, 0)]
    [TestCase(16 + 9, 35, (3 * 32) + 5, 2, 5)]
    public void FollowsTheTensorCoreOperand(int row, int k, long lane, int word, int nibble) =>
        Assert.That(Int4Layout.Position(row, k, columnTiles: 3), Is.EqualTo((lane, word, nibble)));

    [Test]
    public void KeepsSixteenRowScalesOfAGroupTogether()
    {
        Assert.That(Enumerable.Range(16, 16).Select(r => Int4Layout.ScaleIndex(r, group: 2, groups: 5)), Is.EqualTo(Enumerable.Range(112, 16)));
    }

    [Test]
    public void CountsBeyondTwoGigabytes()
    {
        Assert.That(Int4Layout.CodeBytes(1_000_000, 8192, 128), Is.EqualTo(4_096_000_000));
        Assert.That(DenseLayout.Bytes(WeightType.Bf16, 248_320, 5120), Is.EqualTo(2_542_796_800));
        Assert.That(Int4Layout.Position(999_999, 8191, 128).Lane, Is.EqualTo(255_999_999));
    }

    [TestCase(32, 32, 1)]
    [TestCase(64, 32, 1)]
    [TestCase(96, 32, 2)]
    [TestCase(17408, 32, 272)]
    [TestCase(65, 64, 2)]
    public void PadsGroupsOfHalfATileToWholeTiles(int columns, int groupSize, int tiles) =>
        Assert.That(Int4Layout.ColumnTiles(columns, groupSize), Is.EqualTo(tiles));

    [Test]
    public void UnpacksEveryNibbleAboutEveryZeroPointExactly()
    {
        for (int i = 0; i < 8 * 16 * 17; i++)
        {
            (int nibble, int code, int zero) = (i % 8, i / 8 % 16, i / 128);
            uint word = ~(15u << (4 * nibble)) | ((uint)code << (4 * nibble));
            Assert.That(Int4Layout.Unpack(word, nibble, Int4Layout.CodeBase + zero), Is.EqualTo((float)(code - zero)));
        }
    }

    [Test]
    public void UnpacksEveryNibbleExactly()
    {
        for (int nibble = 0; nibble < 8; nibble++)
        {
            for (uint code = 0; code < 16; code++)
            {
                uint word = ~(15u << (4 * nibble)) | (code << (4 * nibble));
                Assert.That(Int4Layout.Unpack(word, nibble), Is.EqualTo((float)((int)code - 8)));
            }
        }
    }
}
