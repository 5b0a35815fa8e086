using System.Buffers.Binary;
using System.Text;
using QwenIlgpu.Bench;

namespace QwenIlgpu.Tests;

/// <summary>`QwenIlgpu.Bench gguf` and what it writes.</summary>
internal sealed class GgufFileTests
{
    [Test]
    public void HeaderListsMetadataAndTensorsAndDataIsAligned()
    {
        var file = new GgufFile(
            [("general.architecture", "qwen35"), ("sections", new[] { 11, 11, 10, 0 }), ("names", new[] { "a", "bc" }), ("flag", true), ("eps", 0.5f), ("count", 7u)],
            [new("ones", GgufType.F32, [3], 0, 1), new("matrix", GgufType.Q4Zero, [64, 2], 0.1), new("head", GgufType.Q8Zero, [32, 3], 0.1)],
            seed: 1);
        using var stream = new MemoryStream();

        file.Write(stream);

        byte[] bytes = stream.ToArray();
        using var reader = new BinaryReader(new MemoryStream(bytes));
        Assert.That(Encoding.ASCII.GetString(reader.ReadBytes(4)), Is.EqualTo("GGUF"));
        Assert.That((reader.ReadUInt32(), reader.ReadUInt64(), reader.ReadUInt64()), Is.EqualTo((3u, 3ul, 6ul)));
        Assert.That((Text(reader), reader.ReadUInt32(), Text(reader)), Is.EqualTo(("general.architecture", 8u, "qwen35")));
        Assert.That((Text(reader), reader.ReadUInt32(), reader.ReadUInt32(), reader.ReadUInt64()), Is.EqualTo(("sections", 9u, 5u, 4ul)));
        Assert.That((reader.ReadInt32(), reader.ReadInt32(), reader.ReadInt32(), reader.ReadInt32()), Is.EqualTo((11, 11, 10, 0)));
        Assert.That((Text(reader), reader.ReadUInt32(), reader.ReadUInt32(), reader.ReadUInt64()), Is.EqualTo(("names", 9u, 8u, 2ul)));
        Assert.That((Text(reader), Text(reader)), Is.EqualTo(("a", "bc")));
        Assert.That((Text(reader), reader.ReadUInt32(), reader.ReadByte()), Is.EqualTo(("flag", 7u, (byte)1)));
        Assert.That((Text(reader), reader.ReadUInt32(), reader.ReadSingle()), Is.EqualTo(("eps", 6u, 0.5f)));
        Assert.That((Text(reader), reader.ReadUInt32(), reader.ReadUInt32()), Is.EqualTo(("count", 4u, 7u)));
        Assert.That((Text(reader), reader.ReadUInt32(), reader.ReadUInt64(), reader.ReadUInt32(), reader.ReadUInt64()), Is.EqualTo(("ones", 1u, 3ul, 0u, 0ul)));
        Assert.That(
            (Text(reader), reader.ReadUInt32(), reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt32(), reader.ReadUInt64()),
            Is.EqualTo(("matrix", 2u, 64ul, 2ul, 2u, 32ul)));
        Assert.That(
            (Text(reader), reader.ReadUInt32(), reader.ReadUInt64(), reader.ReadUInt64(), reader.ReadUInt32(), reader.ReadUInt64()),
            Is.EqualTo(("head", 2u, 32ul, 3ul, 8u, 128ul)), "12 bytes of ones and 4 · 18 of the matrix, each up to a multiple of 32");

        int data = (int)(reader.BaseStream.Position + 31) / 32 * 32;
        Assert.That(bytes, Has.Length.EqualTo(data + 128 + 128), "3 · 34 bytes of the head end at a multiple of 32 too");
        Assert.That(BinaryPrimitives.ReadSingleLittleEndian(bytes.AsSpan(data + 8)), Is.EqualTo(1f));
        Assert.That(bytes[(data + 12)..(data + 32)], Is.All.Zero);
        Assert.That(file.TensorBytes, Is.EqualTo(12 + 72 + 102));
    }

    [TestCase(GgufType.Q4Zero, 18)]
    [TestCase(GgufType.Q8Zero, 34)]
    public void ABlockIsAScaleAndRandomCodesWithoutTheLowest(object typeOfBlock, int blockBytes)
    {
        var type = (GgufType)typeOfBlock;
        byte[] block = new byte[GgufBlocks.Bytes(type, 32)];
        byte[] random = new byte[blockBytes];
        new Random(5).NextBytes(random);

        GgufBlocks.Fill(type, block, 0.25, new Random(5));

        Assert.That(block, Has.Length.EqualTo(blockBytes));
        var scale = (Half)(0.25 / (type == GgufType.Q4Zero ? 4.183 : 73.47));
        Assert.That(BinaryPrimitives.ReadHalfLittleEndian(block), Is.EqualTo(scale));
        for (int i = 0; i < 32; i++)
        {
            int lowest = type == GgufType.Q4Zero ? -8 : -128;
            int drawn = Code(type, random, i);
            Assert.That(Code(type, block, i), Is.EqualTo(drawn == lowest ? 0 : drawn), $"weight {i}");
        }
    }

    [TestCase(GgufType.F32)]
    [TestCase(GgufType.Q4Zero)]
    [TestCase(GgufType.Q8Zero)]
    public void WeightsHaveNoMeanAndTheDeviationAskedFor(object typeOfBlock)
    {
        const int Weights = 1 << 16;
        var type = (GgufType)typeOfBlock;
        byte[] rows = new byte[GgufBlocks.Bytes(type, Weights)];

        GgufBlocks.Fill(type, rows, 0.25, new Random(5));

        int blockBytes = rows.Length / (Weights / 32);
        double[] weights =
        [
            .. Enumerable.Range(0, Weights).Select(i => type == GgufType.F32
                ? BinaryPrimitives.ReadSingleLittleEndian(rows.AsSpan(4 * i))
                : (double)BinaryPrimitives.ReadHalfLittleEndian(rows.AsSpan(i / 32 * blockBytes)) * Code(type, rows.AsSpan(i / 32 * blockBytes), i % 32)),
        ];
        Assert.That(weights.Average(), Is.Zero.Within(0.25 / 50));
        Assert.That(Math.Sqrt(weights.Average(w => w * w)), Is.EqualTo(0.25).Within(2).Percent);
    }

    [Test]
    public void AShapeHasTheTensorsAndParametersOfTheModel()
    {
        QwenConfig config = SyntheticShape.Of("4b");

        GgufTensor[] tensors = [.. new GgufModel("4b", config, GgufType.Q4Zero).Tensors()];

        // 24 delta nets and 8 attentions, 5 tensors of feed-forward and norms in each layer, embedding and last norm; the head is tied.
        Assert.That(tensors, Has.Length.EqualTo((24 * 9) + (8 * 6) + (32 * 5) + 2));
        Assert.That(tensors.Select(t => t.Name), Is.Unique.And.No.Member("output.weight"));
        Assert.That(tensors.Single(t => t.Name == "blk.0.attn_qkv.weight").Dimensions, Is.EqualTo(new[] { 2560, 8192 }));
        Assert.That(tensors.Single(t => t.Name == "blk.0.ssm_out.weight").Dimensions, Is.EqualTo(new[] { 4096, 2560 }));
        Assert.That(tensors.Single(t => t.Name == "blk.3.attn_q.weight").Dimensions, Is.EqualTo(new[] { 2560, 8192 }));
        Assert.That(tensors.Sum(t => t.Elements), Is.EqualTo(4_205_751_296), "the published count of the text part without MTP");
    }

    [Test]
    public void CommandWritesAFileOrSaysHowItIsCalled()
    {
        using var directory = new TemporaryDirectory();
        string path = Path.Combine(directory.Path, "small.gguf");
        string[] small = ["--shape", "0.8b", "--type", "q8_0", "--layers", "4", "--vocabulary", "512", "--output", path];

        Assert.That(GgufCommand.Run(small, TextWriter.Null, TextWriter.Null), Is.Zero);
        Assert.That(Directory.GetFiles(directory.Path), Is.EqualTo(new[] { path }), "no unfinished file is left");
        Assert.That(File.ReadAllBytes(path)[..4], Is.EqualTo("GGUF"u8.ToArray()));
        Assert.That(GgufCommand.Run(["--shape", "1b", .. small[2..]], TextWriter.Null, TextWriter.Null), Is.EqualTo(2));
        Assert.That(GgufCommand.Run(["--shape", "0.8b", "--vocabulary", "100", "--type", "q8_0", "--output", path], TextWriter.Null, TextWriter.Null), Is.EqualTo(2));
        Assert.That(GgufCommand.Run(["--form", .. small[1..]], TextWriter.Null, TextWriter.Null), Is.EqualTo(2));
    }

    // Code of a weight around zero. Q4_0: byte i holds weight i in its low nibble and weight i + 16 in its high one.
    private static int Code(GgufType type, ReadOnlySpan<byte> block, int weight) => type == GgufType.Q8Zero
        ? (sbyte)block[2 + weight]
        : ((block[2 + (weight % 16)] >> (weight / 16 * 4)) & 15) - 8;

    private static string Text(BinaryReader reader) => Encoding.UTF8.GetString(reader.ReadBytes((int)reader.ReadUInt64()));
}
