using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace QwenIlgpu;

/// <summary>
/// Writes a safetensors file piece by piece: declare every tensor, write their bytes in that order, complete. Until it is complete
/// the file has another name, so that no reader sees half of it.
/// </summary>
internal sealed class SafetensorsWriter : IDisposable
{
    private readonly string path;
    private readonly string unfinishedPath;
    private readonly FileStream stream;
    private readonly List<TensorEntry> tensors = [];
    private readonly HashSet<string> names = [];
    private long declaredBytes;
    private long writtenBytes;
    private bool headerWritten;
    private bool completed;

    /// <summary>Begins a file that will lie at <paramref name="path"/>.</summary>
    public SafetensorsWriter(string path)
    {
        this.path = path;
        unfinishedPath = $"{path}.{Guid.NewGuid():N}.unfinished";
        stream = new FileStream(unfinishedPath, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 1 << 16);
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
        stream.Write(bytes);
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
        stream.Flush(flushToDisk: true);
        stream.Dispose();
        File.Move(unfinishedPath, path, overwrite: true);
        completed = true;
    }

    /// <summary>Drops the file unless it is complete.</summary>
    public void Dispose()
    {
        stream.Dispose();
        if (!completed)
            File.Delete(unfinishedPath);
    }

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
        stream.Write(length);
        text.WriteTo(stream);
    }

    private void WriteEntries(Utf8JsonWriter json)
    {
        json.WriteStartObject();
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
