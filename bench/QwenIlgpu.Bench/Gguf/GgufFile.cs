using System.Text;

namespace QwenIlgpu.Bench;

/// <summary>A tensor to be written. Dimensions: the row's length first, as GGUF lists them.</summary>
/// <param name="Deviation">Standard deviation of random elements.</param>
/// <param name="Constant">Where given, what all elements are; f32 only.</param>
internal sealed record GgufTensor(string Name, GgufType Type, long[] Dimensions, double Deviation, float? Constant = null)
{
    public long Elements => Dimensions.Aggregate(1L, (a, b) => a * b);

    public long Bytes => GgufBlocks.Bytes(Type, Elements);
}

/// <summary>Writes a GGUF file, version 3: magic, counts, metadata, the list of tensors, then their data, each aligned to 32 bytes.</summary>
internal sealed class GgufFile(IReadOnlyList<(string Key, object Value)> metadata, IReadOnlyList<GgufTensor> tensors, int seed)
{
    private const int Alignment = 32;
    private const uint Version = 3;

    // Whole blocks of every type.
    private const int PieceElements = 1 << 20;

    /// <summary>Bytes of the tensors, without what aligns them.</summary>
    public long TensorBytes => tensors.Sum(t => t.Bytes);

    public void Write(Stream stream)
    {
        using var writer = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true);
        writer.Write("GGUF"u8);
        writer.Write(Version);
        writer.Write((ulong)tensors.Count);
        writer.Write((ulong)metadata.Count);
        foreach ((string key, object value) in metadata)
        {
            Write(writer, key);
            writer.Write(TypeOf(value));
            Write(writer, value);
        }

        long offset = 0;
        foreach (GgufTensor tensor in tensors)
        {
            Write(writer, tensor.Name);
            writer.Write((uint)tensor.Dimensions.Length);
            foreach (long dimension in tensor.Dimensions)
                writer.Write((ulong)dimension);
            writer.Write((uint)tensor.Type);
            writer.Write((ulong)offset);
            offset += Aligned(tensor.Bytes);
        }

        writer.Flush();
        Pad(stream, stream.Position);
        var random = new Random(seed);
        foreach (GgufTensor tensor in tensors)
        {
            WriteData(stream, tensor, random);
            Pad(stream, tensor.Bytes);
        }
    }

    private static void WriteData(Stream stream, GgufTensor tensor, Random random)
    {
        byte[] piece = new byte[GgufBlocks.Bytes(tensor.Type, Math.Min(tensor.Elements, PieceElements))];
        for (long written = 0; written < tensor.Bytes; written += piece.Length)
        {
            Span<byte> rows = piece.AsSpan(0, (int)Math.Min(piece.Length, tensor.Bytes - written));
            if (tensor.Constant is { } constant)
                System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(rows).Fill(constant);
            else
                GgufBlocks.Fill(tensor.Type, rows, tensor.Deviation, random);
            stream.Write(rows);
        }
    }

    private static long Aligned(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;

    private static void Pad(Stream stream, long bytes) => stream.Write(stackalloc byte[(int)(Aligned(bytes) - bytes)]);

    private static void Write(BinaryWriter writer, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }

    private static uint TypeOf(object value) => value switch
    {
        uint => 4,
        int => 5,
        float => 6,
        bool => 7,
        string => 8,
        Array => 9,
        _ => throw new ArgumentException($"no GGUF type for {value.GetType()}"),
    };

    private static void Write(BinaryWriter writer, object value)
    {
        switch (value)
        {
            case uint number: writer.Write(number); break;
            case int number: writer.Write(number); break;
            case float number: writer.Write(number); break;
            case bool flag: writer.Write(flag); break;
            case string text: Write(writer, text); break;
            case int[] numbers: WriteArray(writer, 5, numbers); break;
            case string[] texts: WriteArray(writer, 8, texts); break;
            default: throw new ArgumentException($"no GGUF type for {value.GetType()}");
        }
    }

    private static void WriteArray<T>(BinaryWriter writer, uint type, T[] elements)
        where T : notnull
    {
        writer.Write(type);
        writer.Write((ulong)elements.Length);
        foreach (T element in elements)
            Write(writer, (object)element);
    }
}
