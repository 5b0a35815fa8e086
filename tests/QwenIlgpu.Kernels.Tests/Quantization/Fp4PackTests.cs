using System.Runtime.InteropServices;
using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>FP4 checkpoints to the FP4 layout: device as host, and nothing lost on the way.</summary>
internal sealed class Fp4PackTests(PortableTier tier) : PortableTests(tier)
{
    private const float Global = 1.2345e-3f;

    // [N, K, G]: one row; a prime off 16; K off a tile; groups of 32; a real K.
    [TestCase(1, 16, 16)]
    [TestCase(37, 208, 16)]
    [TestCase(53, 96, 32)]
    [TestCase(20, 320, 32)]
    [TestCase(48, 5120, 16, Category = MachineFixtures.Slow)]
    public void KeepsEveryBitOfTheSource(int rows, int columns, int groupSize)
    {
        uint[] words = Words(rows * columns / 8);
        byte[] scales = Scales(rows * columns / groupSize);
        WeightMatrix packed = default;

        RunInParts(() => Bind(packed = Quantized.PoisonedFp4(Device, rows, columns), words, scales, groupSize, 2), () => Device.Download(packed.Data));

        var back = new Fp4Reference(rows, columns, Device.Download(packed.Data), Device.Download(packed.Scales));
        var expected = Fp4Reference.Pack(words, scales, groupSize, Global, rows, columns);
        Assert.That(back.Codes.AsSpan().SequenceEqual(expected.Codes), "codes");
        Assert.That(back.Scales.AsSpan().SequenceEqual(expected.Scales), "scales");
        for (int row = 0; row < rows; row++)
        {
            Assert.That(back.Global(row), Is.EqualTo(Global));
            for (int k = 0; k < columns; k++)
            {
                Assert.That((uint)back.Code(row, k), Is.EqualTo((words[((row * columns) + k) / 8] >> (4 * (k % 8))) & 15), $"({row}, {k})");
                Assert.That(back.Scale(row, k / 16), Is.EqualTo(scales[((row * columns) + k) / groupSize]), $"({row}, {k})");
            }
        }
    }

    [Test]
    public void PadsWithZeros()
    {
        WeightMatrix packed = Quantized.PoisonedFp4(Device, 21, 80);

        Device.Run(Bind(packed, Words(21 * 10), Scales(21 * 5), 16, 2));

        var back = new Fp4Reference(21, 80, Device.Download(packed.Data), Device.Download(packed.Scales));
        for (int row = 0; row < 32; row++)
        {
            Assert.That(back.Global(row), Is.EqualTo(row < 21 ? Global : 0));
            for (int k = row < 21 ? 80 : 0; k < 128; k++)
            {
                Assert.That(back.Code(row, k), Is.Zero, $"({row}, {k})");
                Assert.That(back.Scale(row, k / 16), Is.Zero, $"({row}, {k})");
            }
        }
    }

    // A row of the bytes 0x21, 0x43, …: the lower four bits are the earlier k. Scales 1, −2, 1/512; weights by hand.
    [Test]
    public void UnderstandsBytesAsCheckpointsHaveThem()
    {
        byte[] bytes = [0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe, 0x21, 0, 0, 0, 0, 0, 0, 0, 0x07, 0, 0, 0, 0, 0, 0, 0];
        WeightMatrix packed = Quantized.PoisonedFp4(Device, 1, 48);

        Device.Run(Bind(packed, MemoryMarshal.Cast<byte, uint>(bytes.AsSpan()).ToArray(), [0x38, 0xc0, 0x01], 16, 1));

        double[] weights = new Fp4Reference(1, 48, Device.Download(packed.Data), Device.Download(packed.Scales)).Unpack();
        double[] expected =
        [
            0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6,
            -1, -2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            6.0 / 512, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        Assert.That(weights, Is.EqualTo(Array.ConvertAll(expected, v => Global * v)));
    }

    [Test]
    public void RejectsWhatDoesNotFit()
    {
        WeightMatrix destination = Quantized.PoisonedFp4(Device, 48, 80);

        Assert.That(
            () => Fp4Pack.Bind(Device.Loader, Device.Poisoned<uint>(24, 10), 0, destination),
            Throws.ArgumentException.With.Message.EqualTo("fp4_pack: block ends at row 24, neither a multiple of 16 nor the last, 48"));
        Assert.That(
            () => Fp4Pack.Bind(Device.Loader, Device.Poisoned<uint>(48, 5), 0, destination),
            Throws.ArgumentException.With.Message.EqualTo("fp4_pack: columns of block is 5, words of a row of destination is 10"));
        Assert.That(
            () => Fp4Pack.Bind(Device.Loader, Device.Poisoned<uint>(16, 5), 0, Quantized.PoisonedFp4(Device, 16, 40)),
            Throws.ArgumentException.With.Message.EqualTo("fp4_pack: columns of destination are 40, not a multiple of 16"));
        Assert.That(
            () => Fp4Pack.BindScales(Device.Loader, Device.Poisoned<byte>(48, 2), 32, 1, destination),
            Throws.ArgumentException.With.Message.EqualTo("fp4_pack_scales: columns of destination are 80, not a multiple of 32"));
        Assert.That(
            () => Fp4Pack.BindScales(Device.Loader, Device.Poisoned<byte>(48, 10), 8, 1, destination),
            Throws.ArgumentException.With.Message.EqualTo("fp4_pack_scales: group size is 8, neither 16 nor 32"));
        Assert.That(
            () => Fp4Pack.BindScales(Device.Loader, Device.Poisoned<byte>(48, 4), 16, 1, destination),
            Throws.ArgumentException.With.Message.EqualTo("fp4_pack_scales: columns of scales is 4, groups of destination is 5"));
    }

    private static Launch[] Bind(WeightMatrix packed, uint[] words, byte[] scales, int groupSize, int blockTiles)
    {
        var launches = new List<Launch>();
        int columns = packed.Columns / 8;
        for (int first = 0; first < packed.Rows; first += 16 * blockTiles)
        {
            int count = Math.Min(16 * blockTiles, packed.Rows - first);
            Matrix<uint> block = Device.Upload(words[(first * columns)..((first + count) * columns)], count, columns);
            launches.Add(Fp4Pack.Bind(Device.Loader, block, first, packed));
        }

        launches.Add(Fp4Pack.BindScales(
            Device.Loader, Device.Upload(scales, packed.Rows, packed.Columns / groupSize), groupSize, Global, packed));
        return [.. launches];
    }

    private static uint[] Words(int count) =>
        MemoryMarshal.Cast<int, uint>(Quantized.RandomWords(new Random(count), count)).ToArray();

    private static byte[] Scales(int count)
    {
        var scales = new byte[count];
        new Random(count).NextBytes(scales);
        return scales;
    }
}
