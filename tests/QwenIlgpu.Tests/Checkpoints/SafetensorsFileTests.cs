using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace QwenIlgpu.Tests;

internal sealed class SafetensorsFileTests
{
    private TemporaryDirectory directory = null!;

    private string FilePath => directory.File("model.safetensors");

    [SetUp]
    public void CreateDirectory() => directory = new TemporaryDirectory();

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    [Test]
    public void ReadsWhatTheWriterWrote()
    {
        DraftTensor floats = DraftTensor.Of(TensorType.F32, 3, 5);
        DraftTensor bytes = DraftTensor.Of(TensorType.U8, 7);
        using (SafetensorsWriter writer = new(FilePath))
        {
            writer.Declare("größe \"1\"", floats.Type, floats.Shape);
            writer.Declare("scalar", TensorType.I64);
            writer.Declare("empty", TensorType.BF16, 0, 4);
            writer.Declare("bytes", bytes.Type, bytes.Shape);
            writer.Write(floats.Bytes.AsSpan(0, 11));
            writer.Write(floats.Bytes.AsSpan(11));
            writer.Write<long>([42]);
            writer.Write(bytes.Bytes);
            Assert.That(File.Exists(FilePath), Is.False, "before it is complete");
            writer.Complete();
        }

        using SafetensorsFile file = SafetensorsFile.Open(FilePath, shard: 3);

        TensorEntry entry = file.Tensors["größe \"1\""];
        Assert.That((entry.Type, entry.ShapeText, entry.Shard, entry.LengthBytes), Is.EqualTo((TensorType.F32, "[3, 5]", 3, 60L)));
        Assert.That(Read(file, entry, 0, 60), Is.EqualTo(floats.Bytes));
        Assert.That(Read(file, entry, 13, 5), Is.EqualTo(floats.Bytes[13..18]));
        Assert.That(BitConverter.ToInt64(Read(file, file.Tensors["scalar"], 0, 8)), Is.EqualTo(42));
        Assert.That(file.Tensors["empty"].LengthBytes, Is.Zero);
        Assert.That(Read(file, file.Tensors["bytes"], 0, 7), Is.EqualTo(bytes.Bytes));
        Assert.That(Directory.GetFiles(directory.Path), Has.Length.EqualTo(1));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Read(entry, 56, new byte[5]));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Read(entry, long.MaxValue, new byte[5]));
    }

    [Test]
    public void ReadsTheTextsThatTheWriterDescribed()
    {
        using (SafetensorsWriter writer = new(FilePath))
        {
            writer.Describe("ids", "[1,2]");
            writer.Describe("model", "a \"b\" ä");
            writer.Declare("x", TensorType.F32, 1);
            writer.Write<float>([1]);
            Assert.That(() => writer.Describe("late", ""), Throws.InvalidOperationException);
            writer.Complete();
        }

        using var file = SafetensorsFile.Open(FilePath);

        Assert.That(file.ReadMetadata(), Is.EqualTo(new Dictionary<string, string> { ["ids"] = "[1,2]", ["model"] = "a \"b\" ä" }));
        Assert.That(file.Tensors.Keys, Is.EqualTo(new[] { "x" }));
    }

    [Test]
    public void WriterLeavesNothingBehindWhenAbandoned()
    {
        using (SafetensorsWriter writer = new(FilePath))
        {
            writer.Declare("a", TensorType.F32, 2);
            writer.Write<float>([1]);
            Assert.Throws<InvalidOperationException>(writer.Complete);
            Assert.Throws<ArgumentException>(() => writer.Write<float>([1, 2]));
            Assert.Throws<InvalidOperationException>(() => writer.Declare("b", TensorType.F32, 2));
        }

        Assert.That(Directory.GetFiles(directory.Path), Is.Empty);
    }

    [TestCase("""{}""", 0)]
    [TestCase("""{"__metadata__":{"format":"pt"}}   """, 0)]
    [TestCase("""{"b":{"dtype":"F16","shape":[2],"data_offsets":[4,8]},"a":{"data_offsets":[0,4],"x":[{}],"shape":[],"dtype":"I32"}}""", 8)]
    [TestCase("""{"a":{"dtype":"F4","shape":[3,2],"data_offsets":[0,3]},"z":{"dtype":"F32","shape":[0],"data_offsets":[3,3]}}""", 3)]
    public void AcceptsWhatTheReferenceReaderAccepts(string header, int dataBytes)
    {
        WriteFile(header, dataBytes);
        using SafetensorsFile file = SafetensorsFile.Open(FilePath);
        foreach (TensorEntry tensor in file.Tensors.Values)
            Read(file, tensor, 0, (int)tensor.LengthBytes);
    }

    [Test]
    public void KeepsTensorOfUnknownType()
    {
        WriteFile("""{"a":{"dtype":"Q7","shape":[3],"data_offsets":[0,5]}}""", 5);
        using SafetensorsFile file = SafetensorsFile.Open(FilePath);
        Assert.That((file.Tensors["a"].Type, file.Tensors["a"].TypeName), Is.EqualTo((TensorType.Unknown, "Q7")));
    }

    [TestCase("""[]""", 0, "header is a JSON StartArray")]
    [TestCase("""{"a":""", 0, "not valid JSON")]
    [TestCase("""{} {}""", 0, "not valid JSON")]
    [TestCase("", 0, "not valid JSON")]
    [TestCase("""{"a":3}""", 0, "tensor a: is a JSON Number")]
    [TestCase("""{"__metadata__":{"a":1}}""", 0, "__metadata__ holds a JSON Number")]
    [TestCase("""{"a":{"shape":[1],"data_offsets":[0,4]}}""", 4, "tensor a: dtype is missing")]
    [TestCase("""{"a":{"dtype":"F32","data_offsets":[0,4]}}""", 4, "tensor a: shape is missing")]
    [TestCase("""{"a":{"dtype":"F32","shape":[1]}}""", 4, "tensor a: data_offsets is missing")]
    [TestCase("""{"a":{"dtype":3,"shape":[1],"data_offsets":[0,4]}}""", 4, "tensor a: dtype is a JSON Number")]
    [TestCase("""{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}""", 4, "tensor a: shape is given twice")]
    [TestCase("""{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", 4, "tensor a: shape holds something else")]
    [TestCase("""{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}""", 4, "tensor a: shape holds something else")]
    [TestCase("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]}}""",
        4, "tensor a: data_offsets holds something else")]
    [TestCase("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}""", 4, "data_offsets [0, 4, 4] must be two numbers")]
    [TestCase("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}""", 4, "tensor a: begins at 4 and ends at 0")]
    [TestCase("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""",
        5, "tensor a: ends at byte 8 of the data, the file holds 5: it is truncated")]
    [TestCase("""{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,20]}}""",
        20, "tensor a: F32 [2, 3] takes 24 bytes, data_offsets [0, 20] hold 20")]
    [TestCase("""{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}""",
        1, "tensor a: F4 [3] takes 1.5 bytes, data_offsets [0, 1] hold 1")]
    [TestCase("""{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}""", 0, "more elements than 64 bits count")]
    [TestCase("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}""",
        6, "tensor b: begins at byte 2 of the data, a ends at 4: they overlap")]
    [TestCase("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[6,10]}}""",
        10, "tensor b: begins at byte 6 of the data, a ends at 4: the bytes between belong to no tensor")]
    [TestCase("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}""",
        6, "tensor a: begins at byte 2 of the data, the header ends at 0")]
    [TestCase("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""", 6, "tensors end at byte 4 of the data, the file holds 6")]
    [TestCase("""{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""",
        0, "tensor a is described twice")]
    [TestCase("""{"\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""", 0, "holds half a character")]
    public void RejectsBadHeader(string header, int dataBytes, string fault)
    {
        WriteFile(header, dataBytes);
        Assert.That(OpenError().Message, Does.StartWith(FilePath).And.Contains(fault));
    }

    [Test]
    public void RejectsHeaderThatIsNotUtf8()
    {
        WriteFile([(byte)'{', (byte)'"', 0xff, (byte)'"', (byte)'}'], 0);
        Assert.That(OpenError().Message, Does.Contain("not valid UTF-8"));
    }

    [TestCase(0ul, 5, "is 5 bytes long")]
    [TestCase(100_000_001ul, 200, "header length is 100000001 bytes, at most 100000000 are allowed")]
    [TestCase(ulong.MaxValue, 200, "header length is 18446744073709551615 bytes")]
    [TestCase(193ul, 200, "header length is 193 bytes, the file holds 192: it is truncated")]
    public void RejectsHeaderLength(ulong headerBytes, int fileBytes, string fault)
    {
        byte[] file = new byte[Math.Max(8, fileBytes)];
        BinaryPrimitives.WriteUInt64LittleEndian(file, headerBytes);
        File.WriteAllBytes(FilePath, file[..fileBytes]);
        Assert.That(OpenError().Message, Does.StartWith(FilePath).And.Contains(fault));
    }

    [Test]
    public void RejectsFileThatShrinksAfterItWasOpened()
    {
        WriteFile("""{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}""", 8);
        using SafetensorsFile file = SafetensorsFile.Open(FilePath);
        using (FileStream stream = new(FilePath, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
            stream.SetLength(stream.Length - 3);

        InvalidDataException error = Assert.Throws<InvalidDataException>(() => Read(file, file.Tensors["a"], 2, 6))!;
        Assert.That(error.Message, Does.Contain("tensor a ends at byte 5 of 8: the file is truncated"));
    }

    // An entry takes some 50 bytes in the file and five times as many in memory.
    [TestCase(20_000, true)]
    [TestCase(500_000, false)]
    public void KeepsMemoryWithinFileSizeAnd64MiB(int tensors, bool opens)
    {
        StringBuilder header = new("{", tensors * 60);
        for (int i = 0; i < tensors; i++)
            header.Append(CultureInfo.InvariantCulture, $$""" "{{i:x}}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},""");
        byte[] json = Encoding.UTF8.GetBytes(header.Append("\"__metadata__\":{}}").ToString());
        WriteFile(json, 0);

        long before = GC.GetAllocatedBytesForCurrentThread();
        if (opens)
            SafetensorsFile.Open(FilePath).Dispose();
        else
            Assert.That(OpenError().Message, Does.Contain("describes more tensors than"));
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        TestContext.Out.WriteLine($"{(allocated - json.Length) / (double)tensors:f1} bytes a tensor");
        Assert.That(allocated, Is.LessThanOrEqualTo(json.Length + (64L << 20)));
        Assert.That(!opens || allocated - json.Length < 256L * tensors, "what the budget charges for a tensor");
    }

    private InvalidDataException OpenError() => Assert.Throws<InvalidDataException>(() => SafetensorsFile.Open(FilePath).Dispose())!;

    private void WriteFile(string header, int dataBytes) => WriteFile(Encoding.UTF8.GetBytes(header), dataBytes);

    private void WriteFile(byte[] header, int dataBytes)
    {
        byte[] length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
        File.WriteAllBytes(FilePath, [.. length, .. header, .. new byte[dataBytes]]);
    }

    private static byte[] Read(SafetensorsFile file, TensorEntry tensor, long offset, int count)
    {
        byte[] bytes = new byte[count];
        file.Read(tensor, offset, bytes);
        return bytes;
    }
}
