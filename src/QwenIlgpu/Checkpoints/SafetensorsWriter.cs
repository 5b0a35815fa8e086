using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text.Json;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Writes a safetensors file piece by piece: declare every tensor, write their bytes in that order, complete. No reader sees half of it
/// (<see cref="OutputFile"/>).
/// </summary>
internal sealed class SafetensorsWriter : IDisposable
{
    private readonly string path;
    private readonly OutputFile file;
    private readonly List<TensorEntry> tensors = [];
    private readonly HashSet<string> names = [];
    private readonly Dictionary<string, string> metadata = [];
    private long declaredBytes;
    private long writtenBytes;
    private bool headerWritten;

    /// <summary>Begins a file that will lie at <paramref name="path"/>.</summary>
    public SafetensorsWriter(string path)
        : this(path, OutputFile.Create(path))
    {
    }

    /// <summary>Begins in a file that is open, and owns it.</summary>
    public SafetensorsWriter(string path, OutputFile file) => (this.path, this.file) = (path, file);

    /// <summary>Adds a text to the header, to be read by <see cref="SafetensorsFile.ReadMetadata"/>.</summary>
    public void Describe(string name, string text)
    {
        if (headerWritten)
            throw new InvalidOperationException($"{path}: {name} is described after the first bytes were written");
        metadata.Add(name, text);
    }

    /// <summary>Announces the next tensor.</summary>
    public void Declare(string name, TensorType type, params ReadOnlySpan<long> shape)
    {
        if (headerWritten)
            throw new InvalidOperationException($"{path}: tensor {name} is declared after the first bytes were written");
        if (name == "__metadata__" || !names.Add(name))
            throw new ArgumentException($"{path}: the name {name} is taken", nameof(name));

        long bytes = type.ByteSize();
        foreach (long extent in shape)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(extent, nameof(shape));
            bytes = checked(bytes * extent);
        }

        tensors.Add(new TensorEntry(name, type, [.. shape], 0, declaredBytes, bytes));
        declaredBytes = checked(declaredBytes + bytes);
    }

    /// <summary>Writes the next bytes of the tensors in the order of their declaration; a piece may end anywhere.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        WriteHeader();
        if (bytes.Length > declaredBytes - writtenBytes)
            throw new ArgumentException($"{path}: {writtenBytes + bytes.Length} bytes written, the declared tensors hold {declaredBytes}");
        file.Write(bytes);
        writtenBytes += bytes.Length;
    }

    /// <summary>Writes the next numbers as they lie in memory, little-endian.</summary>
    public void Write<T>(ReadOnlySpan<T> values)
        where T : unmanaged => Write(MemoryMarshal.AsBytes(values));

    /// <summary>Closes the file and gives it its name.</summary>
    public void Complete()
    {
        WriteHeader();
        if (writtenBytes != declaredBytes)
            throw new InvalidOperationException($"{path}: {writtenBytes} bytes written, the declared tensors hold {declaredBytes}");
        file.Complete();
    }

    /// <summary>Drops the file unless it is complete.</summary>
    public void Dispose() => file.Dispose();

    private void WriteHeader()
    {
        if (headerWritten)
            return;
        headerWritten = true;
        using MemoryStream text = new();
        using (Utf8JsonWriter json = new(text))
            WriteEntries(json);
        while (text.Length % 8 != 0)                    // so that the data begins at a multiple of 8, as the format asks for
            text.WriteByte((byte)' ');

        Span<byte> length = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, text.Length);
        file.Write(length);
        file.Write(text.GetBuffer().AsSpan(0, (int)text.Length));
    }

    private void WriteEntries(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        if (metadata.Count > 0)
        {
            json.WriteStartObject("__metadata__");
            foreach ((string name, string text) in metadata)
                json.WriteString(name, text);
            json.WriteEndObject();
        }

        foreach (TensorEntry tensor in tensors)
        {
            json.WriteStartObject(tensor.Name);
            json.WriteString("dtype", tensor.TypeName);
            WriteNumbers(json, "shape", tensor.Shape);
            WriteNumbers(json, "data_offsets", [tensor.OffsetBytes, tensor.OffsetBytes + tensor.LengthBytes]);
            json.WriteEndObject();
        }

        json.WriteEndObject();
    }

    private static void WriteNumbers(Utf8JsonWriter json, string key, ImmutableArray<long> numbers)
    {
        json.WriteStartArray(key);
        foreach (long number in numbers)
            json.WriteNumberValue(number);
        json.WriteEndArray();
    }
}
