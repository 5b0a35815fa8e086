using System.Runtime.InteropServices;
using System.Text.Json;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Every 4-bit checkpoint format to the INT4 layout: device as host, and nothing lost on the way.</summary>
[PortableTiers(PortableTier.Loops, PortableTier.Ptx)]
internal sealed class CheckpointFormatTests(PortableTier tier) : PortableTests(tier)
{
    // [N, K, G]: N a prime, off 16 and off 8 rows; K off a tile, and off a group where groups exceed a tile; 48 rows of a real K.
    private static readonly (int N, int K, int Group)[] Shapes =
    [
        (48, 128, 32), (96, 96, 32), (37, 224, 32), (1024, 64, 64), (48, 320, 64), (37, 72, 64), (96, 384, 128), (20, 200, 128),
        (48, 17408, 128),
    ];

    private static IEnumerable<TestCaseData> Cases() =>
        from format in CheckpointFormat.All
        from scaleType in new[] { WeightType.F16, WeightType.Bf16 }
        from hasZeros in new[] { false, true }
        from shape in Shapes
        select MachineFixtures.SlowIf(new TestCaseData(format, scaleType, hasZeros, shape.N, shape.K, shape.Group), shape.K > 5120);

    [TestCaseSource(nameof(Cases))]
    public void KeepsEveryBitOfTheSource(object checkpointFormat, object type, bool hasZeros, int rows, int columns, int groupSize)
    {
        var format = (CheckpointFormat)checkpointFormat;
        var scaleType = (WeightType)type;
        Int4Source source = format.Random(rows, columns, groupSize, scaleType, hasZeros);

        WeightMatrix packed = format.Pack(Device, source, rows, columns, groupSize, scaleType, blockTiles: 2);

        Int4Reference back = Quantized.Download(Device, packed);
        Int4Reference expected = format.Reference.Pack(source, rows, columns, groupSize);
        Assert.That(back.Codes.AsSpan().SequenceEqual(expected.Codes), "codes");
        Assert.That(back.Scales, Is.EqualTo(expected.Scales));
        Assert.That(back.Zeros, Is.EqualTo(expected.Zeros));
        double[] weights = format.Reference.Weights(source, scaleType, rows, columns, groupSize);
        Assert.That(back.Unpack(scaleType).AsSpan().SequenceEqual(weights), "weights");
        Int4Source again = format.Reference.Unpack(back);
        Assert.That(again.Words.AsSpan().SequenceEqual(source.Words), "words");
        Assert.That(again.Scales, Is.EqualTo(source.Scales));
        Assert.That(again.Zeros, Is.EqualTo(source.Zeros));
    }

    [Test]
    public void PadsWithEightsAndScalesOfZero()
    {
        foreach (CheckpointFormat format in CheckpointFormat.All)
        {
            Int4Source source = format.Random(21, 160, 32, WeightType.F16, hasZeros: true);

            Int4Reference back = Quantized.Download(Device, format.Pack(Device, source, 21, 160, 32, WeightType.F16, blockTiles: 1));

            for (int i = 0; i < 32 * 192; i++)
            {
                if (i / 192 >= 21 || i % 192 >= 160)
                    Assert.That(back.Code(i / 192, i % 192), Is.EqualTo(8), $"{format}: ({i / 192}, {i % 192})");
            }

            for (int i = 21 * 5; i < 32 * 5; i++)
            {
                Assert.That(back.ZeroOf(i / 5, i % 5), Is.EqualTo(8));
                Assert.That(back.Scales[Int4Layout.ScaleIndex(i / 5, i % 5, 5)], Is.Zero);
            }
        }
    }

    /// <summary>
    /// Slices of a trained layer as real tools packed them, against the bf16 weights they come from: half a step of error by rounding to
    /// nearest (and 2^-7 by the scale's own rounding), 1.5 by GPTQ's compensation. A wrong order or zero point is off by many.
    /// </summary>
    [TestCase("gptq-v1 g128", 0, 128, 1.5)]
    [TestCase("awq g64", 2, 64, 0.508)]
    [TestCase("compressed-tensors g128", 3, 128, 0.508)]
    [TestCase("compressed-tensors g32", 3, 32, 0.508)]
    public void UnderstandsWhatRealToolsWrite(string name, int format, int groupSize, double steps)
    {
        using JsonDocument slices = JsonDocument.Parse(
            File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "data", "int4-slices.json")));
        JsonElement slice = slices.RootElement.GetProperty(name);
        int rows = slices.RootElement.GetProperty("rows").GetInt32();
        int columns = slices.RootElement.GetProperty("columns").GetInt32();
        ushort[] original = Elements<ushort>(slices.RootElement.GetProperty("bf16"));
        var source = new Int4Source(
            Elements<int>(slice.GetProperty("words")), Elements<ushort>(slice.GetProperty("scales")),
            Elements<int>(slice.GetProperty("zeros")));

        WeightMatrix packed = CheckpointFormat.All[format].Pack(Device, source, rows, columns, groupSize, WeightType.F16, blockTiles: 1);

        Int4Reference back = Quantized.Download(Device, packed);
        double[] weights = back.Unpack(WeightType.F16);
        for (int i = 0; i < weights.Length; i++)
        {
            double step = Scale16.ToFloat(
                back.Scales[Int4Layout.ScaleIndex(i / columns, i % columns / groupSize, back.Groups)], WeightType.F16);
            Assert.That(weights[i], Is.EqualTo(Bf16.ToFloat(original[i])).Within(steps * step), $"({i / columns}, {i % columns})");
        }
    }

    [Test]
    public void RejectsZeroPointsForASymmetricDestination()
    {
        WeightMatrix destination = Quantized.PoisonedInt4(Device, 16, 128, 128, WeightType.F16, hasZeros: false);

        Assert.That(
            () => AwqPack.BindZeros(Device.Loader, Device.Poisoned<int>(1, 2), destination),
            Throws.ArgumentException.With.Message.EqualTo("awq_pack_zeros: destination INT4 g128 [16, 128] has no zero points"));
    }

    [Test]
    public void RejectsBlocksThatDoNotFit()
    {
        WeightMatrix destination = Quantized.PoisonedInt4(Device, 48, 256, 128, WeightType.F16, hasZeros: true);

        Assert.That(
            () => AwqPack.Bind(Device.Loader, Device.Poisoned<int>(32, 6), 32, destination),
            Throws.ArgumentException.With.Message.EqualTo("awq_pack: first k is 32, not a multiple of 64"));
        Assert.That(
            () => AwqPack.Bind(Device.Loader, Device.Poisoned<int>(64, 5), 0, destination),
            Throws.ArgumentException.With.Message.EqualTo("awq_pack: columns of qweight is 5, words of eight rows of destination is 6"));
        Assert.That(
            () => CompressedTensorsPack.Bind(Device.Loader, Device.Poisoned<int>(24, 32), 0, destination),
            Throws.ArgumentException.With.Message.EqualTo(
                "compressed_tensors_pack: block ends at row 24, neither a multiple of 16 nor the last, 48"));
        Assert.That(
            () => CompressedTensorsPack.BindZeros(Device.Loader, Device.Poisoned<int>(48, 2), destination),
            Throws.ArgumentException.With.Message.EqualTo(
                "compressed_tensors_pack_zeros: rows of weight_zero_point is 48, words of eight rows of destination is 6"));
        Assert.That(
            () => GptqPack.BindZeros(Device.Loader, Device.Poisoned<int>(3, 6), GptqVersion.V1, destination),
            Throws.ArgumentException.With.Message.EqualTo("gptq_pack_zeros: rows of qzeros is 3, groups of destination is 2"));
    }

    private static T[] Elements<T>(JsonElement base64)
        where T : unmanaged => MemoryMarshal.Cast<byte, T>(base64.GetBytesFromBase64()).ToArray();
}
