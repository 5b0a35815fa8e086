using System.Runtime.InteropServices;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>E4M3 codes and their scales of blocks to the FP8 layout, bit for bit.</summary>
internal sealed class Fp8PackTests(PortableTier tier) : PortableTests(tier)
{
    // [N, K, G], G 0: one scale a row. One octet; N and K off tiles and groups; 48 rows of real K, cut off its last group.
    [TestCase(1, 8, 32)]
    [TestCase(37, 136, 64)]
    [TestCase(67, 200, 0)]
    [TestCase(96, 128, 128)]
    [TestCase(48, 5080, 128)]
    public void PacksCodesAsTheReferenceDoes(int rows, int columns, int groupSize)
    {
        byte[] codes = Codes(rows, columns);
        int group = groupSize == 0 ? Int8Layout.RowGroup(columns) : groupSize;
        WeightMatrix packed = Quantized.PoisonedFp8(Device, rows, columns, group);

        Pack(codes, rows, columns, packed, blockRows: 32);

        Fp8Reference expected = Fp8Reference.Pack(codes, rows, columns, group, [1], rows, columns);
        Assert.That(Device.Download(packed.Data).AsSpan().SequenceEqual(expected.Codes));
    }

    // Blocks of 128 x 128 that N, K or both cut off; one scale for all; one a row; blocks of a group's width and of odd height.
    [TestCase(128, 256, 128, 128, 128)]
    [TestCase(300, 264, 128, 128, 128)]
    [TestCase(130, 392, 64, 128, 128)]
    [TestCase(37, 200, 0, 1 << 20, 1 << 20)]
    [TestCase(37, 200, 32, 37, 200)]
    [TestCase(53, 136, 0, 1, 136)]
    [TestCase(53, 136, 32, 5, 32)]
    public void PlacesTheScalesOfBlocks(int rows, int columns, int groupSize, int blockRows, int blockColumns)
    {
        int group = groupSize == 0 ? Int8Layout.RowGroup(columns) : groupSize;
        int down = ((rows - 1) / blockRows) + 1;
        int across = ((columns - 1) / blockColumns) + 1;
        float[] scales = Seeded.Floats(rows + columns, down * across);
        WeightMatrix packed = Quantized.PoisonedFp8(Device, rows, columns, group);

        Device.Run(Fp8Pack.BindScales(Device.Loader, Device.Upload(scales, down, across), blockRows, blockColumns, packed));

        Fp8Reference expected = Fp8Reference.Pack(new byte[rows * columns], rows, columns, group, scales, blockRows, blockColumns);
        Assert.That(MemoryMarshal.Cast<ushort, float>(Device.Download(packed.Scales)).ToArray(), Is.EqualTo(expected.Scales));
    }

    // Rows 1 and 9 of one octet: their codes are the bytes of lanes 4 … 7, rows by turns.
    [Test]
    public void PacksHandMadeWords()
    {
        var words = new uint[16 * 2];
        (words[2], words[3]) = (0x44332211, 0x08776655);
        (words[18], words[19]) = (0x84838281, 0x88878685);
        WeightMatrix packed = Quantized.PoisonedFp8(Device, 16, 8, 32);

        Device.Run(Fp8Pack.Bind(Device.Loader, Device.Upload(words, 16, 2), 0, packed));

        Assert.That(
            Device.Download(packed.Data).Select(c => (c.X, c.Y | c.Z | c.W)),
            Is.EqualTo(Enumerable.Range(0, 32).Select(lane => (lane switch
            {
                4 => 0x82228111u,
                5 => 0x84448333u,
                6 => 0x86668555u,
                7 => 0x88088777u,
                _ => 0u,
            }, 0u))));
    }

    [Test]
    public void RejectsBlocksThatEndInsideAGroup() => Assert.That(
        () => Fp8Pack.BindScales(
            Device.Loader, Device.Poisoned<float>(1, 3), 128, 128, Quantized.PoisonedFp8(Device, 16, 384, 256)),
        Throws.ArgumentException.With.Message.EqualTo(
            "fp8_pack_scales: blocks of 128 columns end inside groups of FP8 g256 [16, 384]"));

    [Test]
    public void RejectsScalesOfAnotherBlock() => Assert.That(
        () => Fp8Pack.BindScales(
            Device.Loader, Device.Poisoned<float>(1, 2), 128, 128, Quantized.PoisonedFp8(Device, 16, 384, 128)),
        Throws.ArgumentException.With.Message.EqualTo("fp8_pack_scales: columns of scales is 2, blocks of 128 columns is 3"));

    [Test]
    public void RejectsRowsThatAreNotWholeOctets() => Assert.That(
        () => Fp8Pack.Bind(Device.Loader, Device.Poisoned<uint>(16, 9), 0, Quantized.PoisonedFp8(Device, 16, 36, 64)),
        Throws.ArgumentException.With.Message.EqualTo("fp8_pack: columns of destination are 36, not a multiple of 8"));

    [Test]
    public void RejectsABlockThatBeginsInsideATile() => Assert.That(
        () => Pack(Codes(48, 64), 48, 64, Quantized.PoisonedFp8(Device, 48, 64, 64), blockRows: 24),
        Throws.ArgumentException.With.Message.EqualTo("fp8_pack: block ends at row 24, neither a multiple of 16 nor the last, 48"));

    private static void Pack(byte[] codes, int rows, int columns, WeightMatrix packed, int blockRows)
    {
        for (int row = 0; row < rows; row += blockRows)
        {
            int count = Math.Min(blockRows, rows - row);
            uint[] words = MemoryMarshal.Cast<byte, uint>(codes.AsSpan(row * columns, count * columns)).ToArray();
            Device.Run(Fp8Pack.Bind(Device.Loader, Device.Upload(words, count, columns / 4), row, packed));
        }
    }

    private static byte[] Codes(int rows, int columns)
    {
        var codes = new byte[rows * columns];
        new Random(rows + columns).NextBytes(codes);
        return codes;
    }
}
