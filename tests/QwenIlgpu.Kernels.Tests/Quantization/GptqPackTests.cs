using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

internal sealed class GptqPackTests(PortableTier tier) : PortableTests(tier)
{
    [TestCase(16, 128, 128, 16)]
    [TestCase(7, 64, 64, 8)]
    [TestCase(37, 72, 64, 8)]
    [TestCase(37, 72, 128, 9)]
    [TestCase(5, 8, 128, 1)]
    [TestCase(53, 896, 128, 24)]
    [TestCase(48, 5120, 128, 128)]
    public void TurnsBlocksOfWordsIntoTiles(int rows, int columns, int groupSize, int blockWords)
    {
        (int[] qweight, ushort[] scales) = RandomGptq(rows, columns, groupSize);
        WeightMatrix packed = Poisoned(rows, columns, groupSize);

        for (int word = 0; word < columns / 8; word += blockWords)
        {
            int height = Math.Min(blockWords, (columns / 8) - word);
            var block = new Matrix<int>(Device.Upload(qweight[(word * rows)..((word + height) * rows)]), height, rows);
            Device.Run(GptqPack.Bind(Device.Loader, block, word, packed));
        }

        Device.Run(GptqPack.BindScales(Device.Loader, Device.Upload(scales, packed.Groups, rows), packed));

        Int4Reference expected = Int4SourceReference.GptqV1.Pack(new Int4Source(qweight, scales, []), rows, columns, groupSize);
        Assert.That(Device.Download(packed.Data), Is.EqualTo(expected.Codes));
        Assert.That(Device.Download(packed.Scales), Is.EqualTo(expected.Scales));
    }

    [Test]
    public void KeepsEveryCodeOfTheSource()
    {
        const int Rows = 21;
        const int Columns = 200;
        (int[] qweight, ushort[] scales) = RandomGptq(Rows, Columns, 64);
        WeightMatrix packed = Poisoned(Rows, Columns, 64);
        Device.Run(
            GptqPack.Bind(Device.Loader, Device.Upload(qweight, Columns / 8, Rows), 0, packed),
            GptqPack.BindScales(Device.Loader, Device.Upload(scales, packed.Groups, Rows), packed));

        var back = new Int4Reference(Rows, Columns, 64, Device.Download(packed.Data), Device.Download(packed.Scales));

        for (int row = 0; row < 32; row++)
        {
            for (int k = 0; k < 256; k++)
            {
                int source = row < Rows && k < Columns ? (qweight[(k / 8 * Rows) + row] >>> (4 * (k % 8))) & 15 : 8;
                Assert.That(back.Code(row, k), Is.EqualTo(source), $"({row}, {k})");
            }
        }

        for (int group = 0; group < 4; group++)
        {
            for (int row = 0; row < 32; row++)
            {
                Assert.That(
                    back.Scales[(((row / 16) * 4) + group) * 16 + (row % 16)], Is.EqualTo(row < Rows ? scales[(group * Rows) + row] : 0));
            }
        }
    }

    [Test]
    public void RejectsHalfATile()
    {
        WeightMatrix destination = Poisoned(16, 256, 128);

        Assert.That(
            () => GptqPack.Bind(Device.Loader, Device.Poisoned<int>(8, 16), 4, destination),
            Throws.ArgumentException.With.Message.EqualTo("gptq_pack: first word is 4, not a multiple of 8"));
        Assert.That(
            () => GptqPack.Bind(Device.Loader, Device.Poisoned<int>(12, 16), 8, destination),
            Throws.ArgumentException.With.Message.EqualTo("gptq_pack: block ends at word 20, neither a multiple of 8 nor the last, 32"));
    }

    [Test]
    public void RejectsScalesOfAnotherGroupSize() => Assert.That(
        () => GptqPack.BindScales(Device.Loader, Device.Poisoned<ushort>(4, 16), Poisoned(16, 256, 128)),
        Throws.ArgumentException.With.Message.EqualTo("gptq_pack_scales: rows of scales is 4, groups of destination is 2"));

    private static (int[] Qweight, ushort[] Scales) RandomGptq(int rows, int columns, int groupSize)
    {
        var random = new Random(rows + columns);
        var qweight = new int[columns / 8 * rows];
        for (int i = 0; i < qweight.Length; i++)
            qweight[i] = (int)random.NextInt64(1L << 32);
        var scales = new ushort[Int4Layout.Groups(columns, groupSize) * rows];
        for (int i = 0; i < scales.Length; i++)
            scales[i] = (ushort)random.Next(1 << 16);
        return (qweight, scales);
    }

    private static WeightMatrix Poisoned(int rows, int columns, int groupSize) =>
        Quantized.PoisonedInt4(Device, rows, columns, groupSize, WeightType.Bf16, hasZeros: false);
}
