using System.Collections.Immutable;
using System.Text.Json;

namespace QwenIlgpu;

/// <summary>
/// The JSON header of a safetensors file: name → dtype, shape, data_offsets. Accepted is what the reference implementation accepts
/// (every byte of the data belongs to exactly one tensor), and tensors of unknown dtype, which are refused only when asked for.
/// </summary>
internal ref struct SafetensorsHeader
{
    private const string MetadataKey = "__metadata__";
    private const int MaxRank = 64;

    // Entry, arrays, string, dictionary slot and sort key of one tensor, without the extents and letters.
    private const int BytesPerTensor = 256;

    private readonly string file;
    private readonly int shard;
    private readonly long dataStart;
    private readonly long dataBytes;
    private MemoryBudget budget;
    private Utf8JsonReader reader;

    private SafetensorsHeader(string file, ReadOnlySpan<byte> json, long fileBytes, int shard)
    {
        this.file = file;
        this.shard = shard;
        dataStart = 8 + json.Length;
        dataBytes = fileBytes - dataStart;
        budget = new MemoryBudget(file, fileBytes);
        budget.Charge(json.Length);
        reader = new Utf8JsonReader(json);
    }

    /// <summary>The tensors of a file of <paramref name="fileBytes"/> whose header is <paramref name="json"/>.</summary>
    public static Dictionary<string, TensorEntry> Parse(string file, ReadOnlySpan<byte> json, long fileBytes, int shard)
    {
        JsonText.RequireUtf8(file, json);
        SafetensorsHeader header = new(file, json, fileBytes, shard);
        try
        {
            return header.ReadTensors();
        }
        catch (JsonException error)
        {
            throw JsonText.Malformed($"{file} (header)", json, error);
        }
    }

    private Dictionary<string, TensorEntry> ReadTensors()
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new InvalidDataException($"{file}: header is a JSON {reader.TokenType}, an object is expected");

        int count = JsonText.CountMembers(reader);
        budget.Charge((long)count * BytesPerTensor);
        Dictionary<string, TensorEntry> tensors = new(count);
        while (Next() == JsonTokenType.PropertyName)
        {
            string name = ReadString();
            Next();
            if (name == MetadataKey)
                SkipMetadata();
            else if (!tensors.TryAdd(name, ReadTensor(name)))
                throw new InvalidDataException($"{file}: tensor {JsonText.Shown(name)} is described twice");
        }

        reader.Read();                                  // throws when anything but blanks follows the object
        RequireEndToEnd(tensors);
        return tensors;
    }

    private TensorEntry ReadTensor(string name)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
            throw Bad(name, $"is a JSON {reader.TokenType}, an object with dtype, shape and data_offsets is expected");

        string? dtype = null;
        ImmutableArray<long> shape = default;
        ImmutableArray<long> offsets = default;
        while (Next() == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("dtype"u8))
                dtype = dtype is null ? ReadType(name) : throw Bad(name, "dtype is given twice");
            else if (reader.ValueTextEquals("shape"u8))
                shape = shape.IsDefault ? ReadNumbers(name, "shape") : throw Bad(name, "shape is given twice");
            else if (reader.ValueTextEquals("data_offsets"u8))
                offsets = offsets.IsDefault ? ReadNumbers(name, "data_offsets") : throw Bad(name, "data_offsets is given twice");
            else
                reader.Skip();
        }

        if (dtype is null || shape.IsDefault || offsets.IsDefault)
            throw Bad(name, $"{(dtype is null ? "dtype" : shape.IsDefault ? "shape" : "data_offsets")} is missing");
        if (offsets.Length != 2)
            throw Bad(name, $"data_offsets {TensorEntry.TextOf(offsets.AsSpan())} must be two numbers, begin and end");
        return Check(name, dtype, shape, offsets[0], offsets[1]);
    }

    private readonly TensorEntry Check(string name, string dtype, ImmutableArray<long> shape, long begin, long end)
    {
        if (begin > end)
            throw Bad(name, $"begins at {begin} and ends at {end}");
        if (end > dataBytes)
            throw Bad(name, $"ends at byte {end} of the data, the file holds {dataBytes}: it is truncated");

        TensorType type = TensorTypes.Parse(dtype);
        TensorEntry entry = new(name, type, shape, shard, dataStart + begin, end - begin);
        if (type == TensorType.Unknown)
            return entry with { TypeName = dtype };

        long bits = type.Bits();
        try
        {
            foreach (long extent in shape)
                bits = checked(bits * extent);
        }
        catch (OverflowException)
        {
            throw Bad(name, $"shape {entry.ShapeText} has more elements than 64 bits count");
        }

        if (bits != 8 * (Int128)(end - begin))
            throw Bad(name, $"{dtype} {entry.ShapeText} takes {bits / 8.0} bytes, data_offsets [{begin}, {end}] hold {end - begin}");
        return entry;
    }

    private readonly void RequireEndToEnd(Dictionary<string, TensorEntry> tensors)
    {
        TensorEntry[] order = [.. tensors.Values];
        Array.Sort(order, static (a, b) => (a.OffsetBytes, a.LengthBytes).CompareTo((b.OffsetBytes, b.LengthBytes)));
        long end = dataStart;
        string before = "the header";
        foreach (TensorEntry tensor in order)
        {
            if (tensor.OffsetBytes != end)
            {
                long begin = tensor.OffsetBytes - dataStart;
                string fault = tensor.OffsetBytes < end ? "they overlap" : "the bytes between belong to no tensor";
                throw Bad(tensor.Name, $"begins at byte {begin} of the data, {before} ends at {end - dataStart}: {fault}");
            }

            end += tensor.LengthBytes;
            before = tensor.Name;
        }

        if (end != dataStart + dataBytes)
            throw new InvalidDataException($"{file}: its tensors end at byte {end - dataStart} of the data, the file holds {dataBytes}");
    }

    private string ReadType(string name)
    {
        if (Next() != JsonTokenType.String)
            throw Bad(name, $"dtype is a JSON {reader.TokenType}, a string is expected");
        return ReadString();
    }

    private ImmutableArray<long> ReadNumbers(string name, string key)
    {
        if (Next() != JsonTokenType.StartArray)
            throw Bad(name, $"{key} is a JSON {reader.TokenType}, an array of numbers is expected");

        Span<long> numbers = stackalloc long[MaxRank];
        int count = 0;
        while (Next() != JsonTokenType.EndArray)
        {
            if (count == MaxRank)
                throw Bad(name, $"{key} has more than {MaxRank} numbers");
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out numbers[count]) || numbers[count] < 0)
                throw Bad(name, $"{key} holds something else than whole numbers from 0 to {long.MaxValue}");
            count++;
        }

        budget.Charge(sizeof(long) * count);
        return [.. numbers[..count]];
    }

    // The format allows text there and nothing else.
    private void SkipMetadata()
    {
        if (reader.TokenType == JsonTokenType.Null)
            return;
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new InvalidDataException($"{file}: {MetadataKey} is a JSON {reader.TokenType}, an object of strings is expected");
        while (Next() == JsonTokenType.PropertyName)
        {
            if (Next() != JsonTokenType.String)
                throw new InvalidDataException($"{file}: {MetadataKey} holds a JSON {reader.TokenType}, only strings are allowed");
        }
    }

    private JsonTokenType Next()
    {
        reader.Read();
        return reader.TokenType;
    }

    private string ReadString()
    {
        budget.Charge(sizeof(char) * reader.ValueSpan.Length);
        return JsonText.StringAt(ref reader);
    }

    private readonly InvalidDataException Bad(string tensor, string fault) => new($"{file}: tensor {JsonText.Shown(tensor)}: {fault}");
}
