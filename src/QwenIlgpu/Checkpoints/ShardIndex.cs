using System.Text.Json;

namespace QwenIlgpu;

/// <summary>A <c>model.safetensors.index.json</c>: which file of the directory holds which tensor.</summary>
internal sealed class ShardIndex
{
    // String, dictionary slots here and in the merged set, without the letters.
    private const int BytesPerTensor = 128;

    private readonly string file;
    private readonly List<string> shards = [];
    private readonly Dictionary<string, int> numberOf = [];
    private Dictionary<string, int> shardOf = [];

    private ShardIndex(string file) => this.file = file;

    /// <summary>Names of the files, in order of first mention.</summary>
    public IReadOnlyList<string> Shards => shards;

    /// <summary>Tensor name → position in <see cref="Shards"/>.</summary>
    public IReadOnlyDictionary<string, int> ShardOf => shardOf;

    /// <summary>Reads and checks an index.</summary>
    public static ShardIndex Load(string file)
    {
        byte[] text = CheckpointFile.ReadText(file, SafetensorsFile.MaxHeaderBytes);
        ShardIndex index = new(file);
        try
        {
            index.Read(text);
        }
        catch (JsonException error)
        {
            throw JsonText.Malformed(file, text, error);
        }

        return index.shards.Count > 0 ? index : throw new InvalidDataException($"{file}: weight_map is missing or empty");
    }

    private void Read(byte[] text)
    {
        Utf8JsonReader reader = new(text);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new InvalidDataException($"{file}: is a JSON {reader.TokenType}, an object is expected");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            bool isMap = reader.ValueTextEquals("weight_map"u8);
            reader.Read();
            if (isMap)
                ReadMap(ref reader, text.Length);
            else
                reader.Skip();
        }

        reader.Read();                                  // throws when anything but blanks follows the object
    }

    private void ReadMap(ref Utf8JsonReader reader, long fileBytes)
    {
        if (reader.TokenType != JsonTokenType.StartObject || shards.Count > 0)
            throw new InvalidDataException($"{file}: weight_map must be one object of tensor names and file names");

        MemoryBudget budget = new(file, fileBytes);
        budget.Charge(fileBytes);
        int count = JsonText.CountMembers(reader);
        budget.Charge((long)count * BytesPerTensor);
        shardOf = new Dictionary<string, int>(count);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            budget.Charge(sizeof(char) * reader.ValueSpan.Length);
            string tensor = JsonText.StringAt(ref reader);
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
                throw new InvalidDataException($"{file}: weight_map gives {JsonText.Shown(tensor)} a {reader.TokenType}, not a file name");
            budget.Charge(3 * sizeof(char) * reader.ValueSpan.Length);
            if (!shardOf.TryAdd(tensor, NumberOf(tensor, JsonText.StringAt(ref reader))))
                throw new InvalidDataException($"{file}: weight_map lists tensor {JsonText.Shown(tensor)} twice");
        }
    }

    private int NumberOf(string tensor, string shard)
    {
        if (numberOf.TryGetValue(shard, out int number))
            return number;

        // A file beside the index and nothing else: no directory, no drive, no name that a system reads differently.
        bool plain = shard.EndsWith(".safetensors", StringComparison.Ordinal)
            && shard.All(static letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_' or '.');
        if (!plain)
        {
            throw new InvalidDataException(
                $"{file}: weight_map places tensor {JsonText.Shown(tensor)} in \"{JsonText.Shown(shard)}\", "
                + "which is not the plain name of a .safetensors file");
        }

        shards.Add(shard);
        numberOf.Add(shard, shards.Count - 1);
        return shards.Count - 1;
    }
}
