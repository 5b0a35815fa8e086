using System.Globalization;
using System.Text.Json;

namespace QwenIlgpu;

/// <summary>
/// What tokenizer.json holds: vocabulary in the byte alphabet, merges ("left right", best first) and added tokens, those included that
/// only tokenizer_config.json names. Every rule of the file that this library does not implement is refused.
/// </summary>
internal sealed class TokenizerFile
{
    // A bound on ids, so that no file can ask for a table of a size that has nothing to do with its own.
    private const int MaxId = (1 << 20) - 1;

    // Published files have 20 MB at most.
    private const long MaxFileBytes = 256L << 20;

    private readonly List<string> notices = [];
    private int length;
    private bool hasModel;
    private bool hasNormalizer;
    private bool hasPreTokenizer;
    private bool hasDecoder;

    public Dictionary<string, int> Vocabulary { get; private set; } = [];

    public List<string> Merges { get; private set; } = [];

    public Dictionary<int, AddedToken> AddedTokens { get; } = [];

    /// <summary>The pattern that cuts a text into pieces.</summary>
    public QwenPattern Pattern { get; private set; } = QwenPattern.Qwen35;

    /// <summary>What the two files contradict each other in, and which counts.</summary>
    public IReadOnlyList<string> Notices => notices;

    /// <summary>Reads tokenizer.json and, where there is one, tokenizer_config.json of a checkpoint directory.</summary>
    public static TokenizerFile Read(string directory)
    {
        TokenizerFile file = new();
        file.ReadFile(Path.Combine(directory, "tokenizer.json"), file.ReadTokenizer);
        string config = Path.Combine(directory, "tokenizer_config.json");
        if (CheckpointFile.Exists(config)) file.ReadFile(config, file.ReadConfig);
        return file;
    }

    private delegate void JsonAction(ref Utf8JsonReader reader);

    private void ReadFile(string path, JsonAction read)
    {
        byte[] bytes = CheckpointFile.ReadText(path, MaxFileBytes);
        length = bytes.Length;
        try
        {
            Utf8JsonReader reader = new(bytes);
            reader.Read();
            read(ref reader);
            reader.Read();                              // throws when anything but blanks follows the value
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw JsonText.Malformed(path, bytes, error);
        }
        catch (InvalidDataException error)
        {
            throw new InvalidDataException($"{path}: {error.Message}", error);
        }
        catch (NotSupportedException error)
        {
            throw new NotSupportedException($"{path}: {error.Message}", error);
        }
    }

    private void ReadTokenizer(ref Utf8JsonReader reader)
    {
        ForEachProperty(ref reader, "tokenizer", ReadTokenizerProperty);
        if (!hasModel) throw new InvalidDataException("model is missing");
        if (Merges.Count == 0) throw new InvalidDataException("model.merges is missing or empty; without merges every text would become single bytes");
        if (!hasNormalizer) throw new NotSupportedException("normalizer is missing, supported is NFC");
        if (!hasPreTokenizer) throw new NotSupportedException("pre_tokenizer is missing, supported is Qwen's");
        if (!hasDecoder) throw new NotSupportedException("decoder is missing, supported is ByteLevel");
    }

    private void ReadTokenizerProperty(string name, ref Utf8JsonReader reader)
    {
        switch (name)
        {
            case "model":
                ForEachProperty(ref reader, name, ReadModelProperty);
                hasModel = true;
                break;
            case "added_tokens":
                ReadAddedTokens(JsonElement.ParseValue(ref reader));
                break;
            case "normalizer":
                TokenizerRules.CheckNormalizer(JsonElement.ParseValue(ref reader));
                hasNormalizer = true;
                break;
            case "pre_tokenizer":
                Pattern = TokenizerRules.ReadPreTokenizer(JsonElement.ParseValue(ref reader));
                hasPreTokenizer = true;
                break;
            case "post_processor":
                TokenizerRules.CheckPostProcessor(JsonElement.ParseValue(ref reader));
                break;
            case "decoder":
                TokenizerRules.CheckDecoder(JsonElement.ParseValue(ref reader));
                hasDecoder = true;
                break;
            default:
                reader.Skip();
                break;
        }
    }

    private void ReadAddedTokens(JsonElement tokens)
    {
        if (tokens.ValueKind != JsonValueKind.Array) throw new InvalidDataException($"added_tokens is {tokens.ValueKind}, not Array");
        foreach (JsonElement token in tokens.EnumerateArray())
        {
            if (token.ValueKind != JsonValueKind.Object || !token.TryGetProperty("id", out JsonElement id)
                || id.ValueKind != JsonValueKind.Number || !id.TryGetInt32(out int number))
            {
                throw new InvalidDataException($"added_tokens holds {JsonText.Shown(token.GetRawText())}, which has no whole number as its id");
            }

            Add(ReadAddedToken(token, number), "tokenizer.json: added_tokens a second time ");
        }
    }

    private void ReadModelProperty(string name, ref Utf8JsonReader reader)
    {
        switch (name)
        {
            case "vocab":
                ReadVocabulary(ref reader);
                break;
            case "merges":
                ReadMerges(ref reader);
                break;
            default:
                TokenizerRules.CheckModel(name, JsonElement.ParseValue(ref reader));
                break;
        }
    }

    private void ReadVocabulary(ref Utf8JsonReader reader)
    {
        Expect(reader, JsonTokenType.StartObject, "model.vocab");
        Vocabulary = new Dictionary<string, int>(length / 32, StringComparer.Ordinal); // a full one takes 45 bytes an entry
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string token = JsonText.StringAt(ref reader);
            reader.Read();
            Expect(reader, JsonTokenType.Number, "an id in model.vocab");
            if (!reader.TryGetInt32(out int id)) throw new InvalidDataException($"the id of token \"{token}\" is not a whole number from 0 to {MaxId}");
            if (!Vocabulary.TryAdd(token, CheckId(id, token)) && Vocabulary[token] != id)
                throw new InvalidDataException($"token \"{token}\" has two ids, {Vocabulary[token]} and {id}");
        }
    }

    private void ReadMerges(ref Utf8JsonReader reader)
    {
        Expect(reader, JsonTokenType.StartArray, "model.merges");
        Merges = new List<string>(length / 32);
        char[] pair = new char[64];
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.StartArray)
            {
                Expect(reader, JsonTokenType.String, "a merge");
                AddMerge(reader.GetString()!);
                continue;
            }

            int left = CopyToken(ref reader, 0, ref pair);
            pair[left] = ' ';
            int right = CopyToken(ref reader, left + 1, ref pair);
            AddMerge(new string(pair, 0, right));
            reader.Read();
            Expect(reader, JsonTokenType.EndArray, "the end of a pair in model.merges");
        }
    }

    private void AddMerge(string merge)
    {
        int space = merge.IndexOf(' ', StringComparison.Ordinal);
        if (space <= 0 || space == merge.Length - 1 || merge.AsSpan(space + 1).Contains(' '))
            throw new InvalidDataException($"merge {Merges.Count} \"{merge}\" is not two tokens");
        Merges.Add(merge);
    }

    // Copies a token of a pair to its place and returns where it ends, with room for one character more.
    private static int CopyToken(ref Utf8JsonReader reader, int start, ref char[] pair)
    {
        reader.Read();
        Expect(reader, JsonTokenType.String, "a token in model.merges");
        int needed = start + reader.ValueSpan.Length + 1;
        if (needed > pair.Length) Array.Resize(ref pair, 2 * needed);
        return start + reader.CopyString(pair.AsSpan(start));
    }

    // Ids that tokenizer.json lacks may stand in the configuration alone.
    private void ReadConfig(ref Utf8JsonReader reader)
    {
        ForEachProperty(ref reader, "tokenizer configuration", (string name, ref Utf8JsonReader value) =>
        {
            if (name != "added_tokens_decoder")
            {
                value.Skip();
                return;
            }

            JsonElement tokens = JsonElement.ParseValue(ref value);
            if (tokens.ValueKind == JsonValueKind.Null)
                return;
            if (tokens.ValueKind != JsonValueKind.Object)
                throw new InvalidDataException($"added_tokens_decoder is {tokens.ValueKind}, not Object");
            foreach (JsonProperty token in tokens.EnumerateObject())
                if (!int.TryParse(token.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int id))
                    throw new InvalidDataException($"added_tokens_decoder: \"{token.Name}\" is not an id");
                else
                    Add(ReadAddedToken(token.Value, id), "tokenizer_config.json: added_tokens_decoder ");
        });
    }

    private static AddedToken ReadAddedToken(JsonElement token, int id)
    {
        if (token.ValueKind != JsonValueKind.Object || !token.TryGetProperty("content", out JsonElement content)
            || content.ValueKind != JsonValueKind.String || content.GetString() is not { Length: > 0 } text)
        {
            throw new InvalidDataException($"added token {id} has no content");
        }

        bool? Flag(string rule) => !token.TryGetProperty(rule, out JsonElement value) ? null : value.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            JsonValueKind.Null => null,
            _ => throw new InvalidDataException($"added token {id} \"{text}\": {rule} is {value.ValueKind}, not true or false"),
        };

        bool isSpecial = Flag("special") ?? false;
        return new AddedToken(CheckId(id, text), text, isSpecial)
        {
            // As Hugging Face's AddedToken has it where nothing is said.
            Normalized = Flag("normalized") ?? !isSpecial,
            SingleWord = Flag("single_word") ?? false,
            LStrip = Flag("lstrip") ?? false,
            RStrip = Flag("rstrip") ?? false,
        };
    }

    private void Add(AddedToken token, string source)
    {
        if (AddedTokens.TryAdd(token.Id, token)) return;
        AddedToken known = AddedTokens[token.Id];
        if (known.Content != token.Content)
            throw new InvalidDataException($"added token {token.Id} is \"{known.Content}\" and \"{token.Content}\"");
        if (known.Special != token.Special)
        {
            notices.Add(
                $"{source}says that token {token.Id} \"{token.Content}\" is {(token.Special ? "special" : "not special")}; "
                + "tokenizer.json says otherwise, and counts");
        }
        else if (known != token)
        {
            notices.Add(
                $"{source}has other rules for token {token.Id} \"{token.Content}\" (normalized, single_word, lstrip, rstrip) than tokenizer.json, "
                + "which counts");
        }
    }

    private static int CheckId(int id, string token) => id is >= 0 and <= MaxId
        ? id
        : throw new InvalidDataException($"the id of token \"{token}\" is {id}, allowed are 0 to {MaxId}");

    private delegate void PropertyAction(string name, ref Utf8JsonReader reader);

    private static void ForEachProperty(ref Utf8JsonReader reader, string what, PropertyAction read)
    {
        Expect(reader, JsonTokenType.StartObject, what);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            reader.Read();
            read(name, ref reader);
        }
    }

    private static void Expect(in Utf8JsonReader reader, JsonTokenType type, string what)
    {
        if (reader.TokenType != type) throw new InvalidDataException($"{what} is {reader.TokenType}, not {type}");
    }
}
