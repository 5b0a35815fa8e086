namespace QwenIlgpu.Kernels.Tests;

internal sealed class Int8LayoutTests
{
    [TestCase(1, 1, 32)]
    [TestCase(33, 200, 64)]
    [TestCase(48, 100, 128)]
    public void GivesEveryCodeItsOwnByteAndLeavesNone(int rows, int columns, int groupSize)
    {
        int tiles = Int8Layout.ColumnTiles(columns, groupSize);
        var taken = new HashSet<(long, int, int)>();

        for (int row = 0; row < Int8Layout.RowTiles(rows) * 16; row++)
        {
            for (int k = 0; k < tiles * 32; k++)
                Assert.That(taken.Add(Int8Layout.Position(row, k, tiles)), Is.True, $"({row}, {k})");
        }

        long bytes = Int8Layout.CodeBytes(rows, columns, groupSize);
        Assert.That(taken, Has.Count.EqualTo(bytes));
        Assert.That(taken, Has.All.Matches<(long Lane, int Word, int Byte)>(
            p => p.Lane >= 0 && p.Lane < bytes / 16 && p.Word is >= 0 and < 4 && p.Byte is >= 0 and < 4));
    }

    // The A operand of m16n8k16: register 0 (g, 2t), 1 (g + 8, 2t) in word 2s, 2 (g, 2t + 8), 3 (g + 8, 2t + 8) in word 2s + 1; the
    // first register of a word in bytes 0 and 2, the second in 1 and 3.
    [TestCase(0, 0, 0, 0, 0)]
    [TestCase(0, 1, 0, 0, 2)]
    [TestCase(8, 0, 0, 0, 1)]
    [TestCase(8, 1, 0, 0, 3)]
    [TestCase(0, 8, 0, 1, 0)]
    [TestCase(0, 9, 0, 1, 2)]
    [TestCase(8, 9, 0, 1, 3)]
    [TestCase(3, 6, 15, 0, 0)]
    [TestCase(15, 31, 31, 3, 3)]
    [TestCase(2, 32 + 18, 32 + 9, 2, 0)]
    [TestCase(16 + 9, 35 + 24, (3 * 32) + 32 + 5, 3, 3)]
    public void FollowsTheTensorCoreOperand(int row, int k, long lane, int word, int index) =>
        Assert.That(Int8Layout.Position(row, k, columnTiles: 3), Is.EqualTo((lane, word, index)));

    [Test]
    public void KeepsRegistersAsPairsOfLanes()
    {
        uint word = Int8Layout.LaneWord(0x11, 0x22, 0x33, 0x44);

        Assert.That((word & 0x00ff00ffu, (word >> 8) & 0x00ff00ffu), Is.EqualTo((0x00220011u, 0x00440033u)));
    }

    [Test]
    public void CountsBeyondTwoGigabytes()
    {
        Assert.That(Int8Layout.CodeBytes(248_320, 5120, 128), Is.EqualTo(1_271_398_400));
        Assert.That(Int8Layout.CodeBytes(248_320, 17408, 128), Is.EqualTo(4_322_754_560));
        Assert.That(Int8Layout.ScaleBytes(248_320, 17408, 17408), Is.EqualTo(496_640));
        Assert.That(Int8Layout.Position(248_319, 17407, 544).Lane, Is.EqualTo(270_172_159));
        Assert.That(Int8Layout.ScaleIndex(999_999_999, 135, 136), Is.EqualTo(135_999_999_999));
    }

    [TestCase(1, 32)]
    [TestCase(5120, 5120)]
    [TestCase(17400, 17408)]
    public void GivesARowOneGroup(int columns, int groupSize)
    {
        Assert.That(Int8Layout.RowGroup(columns), Is.EqualTo(groupSize));
        Assert.That(Int8Layout.Groups(columns, groupSize), Is.EqualTo(1));
    }

    [Test]
    public void UnpacksEveryByteExactly()
    {
        for (int i = 0; i < 4 * 256; i++)
        {
            (int index, int code) = (i % 4, (i / 4) - 128);
            uint word = ~(255u << (8 * index)) | ((uint)(byte)code << (8 * index));
            Assert.That(Int8Layout.Unpack(word, index), Is.EqualTo((float)code));
        }
    }
}
