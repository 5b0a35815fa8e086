using System.Buffers.Binary;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;

namespace QwenIlgpu;

/// <summary>
/// A safetensors file, its header read and checked in full: 8 bytes of header length, the header as JSON, then the tensors end to end.
/// </summary>
internal sealed class SafetensorsFile : IDisposable
{
    /// <summary>The longest header that is read, as in the reference implementation.</summary>
    public const long MaxHeaderBytes = 100_000_000;

    private readonly SafeFileHandle handle;

    private SafetensorsFile(string path, SafeFileHandle handle, long lengthBytes, IReadOnlyDictionary<string, TensorEntry> tensors)
    {
        Path = path;
        this.handle = handle;
        LengthBytes = lengthBytes;
        Tensors = tensors;
    }

    /// <summary>Where the file lies.</summary>
    public string Path { get; }

    /// <summary>Bytes of the whole file.</summary>
    public long LengthBytes { get; }

    /// <summary>The tensors by stored name.</summary>
    public IReadOnlyDictionary<string, TensorEntry> Tensors { get; }

    /// <summary>Opens a file and checks its header; its entries carry <paramref name="shard"/> as their file's index.</summary>
    public static SafetensorsFile Open(string path, int shard = 0)
    {
        SafeFileHandle handle = CheckpointFile.Open(path);
        try
        {
            long length = RandomAccess.GetLength(handle);
            byte[] header = ReadHeader(path, handle, length);
            return new SafetensorsFile(path, handle, length, SafetensorsHeader.Parse(path, header, length, shard));
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Fills <paramref name="destination"/> with the tensor's bytes from <paramref name="offsetBytes"/> on.</summary>
    public void Read(TensorEntry tensor, long offsetBytes, Span<byte> destination)
    {
        if (offsetBytes < 0 || offsetBytes > tensor.LengthBytes - destination.Length)
        {
            throw new ArgumentOutOfRangeException(
                nameof(offsetBytes), $"{tensor.Name}: {destination.Length} bytes at {offsetBytes} exceed its {tensor.LengthBytes} bytes");
        }

        int filled = CheckpointFile.ReadAt(handle, tensor.OffsetBytes + offsetBytes, destination);
        if (filled < destination.Length)
        {
            throw new InvalidDataException(
                $"{Path}: tensor {tensor.Name} ends at byte {offsetBytes + filled} of {tensor.LengthBytes}: the file is truncated");
        }
    }

    /// <summary>The text that the header holds beside the tensors, by name; read again from the file, which few ask for.</summary>
    public IReadOnlyDictionary<string, string> ReadMetadata()
    {
        using var header = JsonDocument.Parse(ReadHeader(Path, handle, LengthBytes));
        return header.RootElement.TryGetProperty("__metadata__", out JsonElement metadata) && metadata.ValueKind == JsonValueKind.Object
            ? metadata.EnumerateObject().ToDictionary(p => p.Name, p => p.Value.GetString()!)
            : [];
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => handle.Dispose();

    private static byte[] ReadHeader(string path, SafeFileHandle handle, long length)
    {
        Span<byte> prefix = stackalloc byte[8];
        if (CheckpointFile.ReadAt(handle, 0, prefix) < prefix.Length)
            throw new InvalidDataException($"{path}: is {length} bytes long, a safetensors file has at least the 8 of its header length");

        ulong headerBytes = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (headerBytes > MaxHeaderBytes)
            CheckpointFile.RefuseText(path, handle);
        if (headerBytes > MaxHeaderBytes)
            throw new InvalidDataException($"{path}: header length is {headerBytes} bytes, at most {MaxHeaderBytes} are allowed");
        if ((long)headerBytes > length - 8)
            throw new InvalidDataException($"{path}: header length is {headerBytes} bytes, the file holds {length - 8}: it is truncated");

        byte[] header = new byte[headerBytes];
        int filled = CheckpointFile.ReadAt(handle, 8, header);
        if (filled < header.Length)
            throw new InvalidDataException($"{path}: header ends at byte {filled} of {headerBytes}: the file is truncated");
        return header;
    }
}
