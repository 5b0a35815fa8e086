using System.Collections.Immutable;
using System.Text.Json;

namespace QwenIlgpu;

/// <summary>
/// One object of a checkpoint's JSON configuration. Members are read by type and range; every error names file, key and value.
/// A member that is <c>null</c> counts as absent.
/// </summary>
internal sealed class JsonSection
{
    /// <summary>The longest configuration file that is read; published ones have a few thousand bytes.</summary>
    public const long MaxFileBytes = 2 << 20;

    private readonly JsonElement element;
    private readonly string prefix;

    private JsonSection(string file, string prefix, JsonElement element)
    {
        File = file;
        this.prefix = prefix;
        this.element = element;
    }

    /// <summary>The file that holds the object.</summary>
    public string File { get; }

    /// <summary>Names of the members, in file order.</summary>
    public IEnumerable<string> Keys => element.EnumerateObject().Select(static member => member.Name);

    /// <summary>Reads a file that is one JSON object.</summary>
    public static JsonSection Load(string file)
    {
        byte[] text = JsonText.ReadFile(file, MaxFileBytes);
        try
        {
            Utf8JsonReader strings = new(text);
            while (strings.Read())
            {
                if (strings.ValueIsEscaped)
                    JsonText.StringAt(file, ref strings);
            }

            Utf8JsonReader reader = new(text);
            JsonElement root = JsonElement.ParseValue(ref reader);
            if (root.ValueKind != JsonValueKind.Object)
                throw new InvalidDataException($"{file}: is a JSON {root.ValueKind}, an object is expected");
            return new JsonSection(file, string.Empty, root);
        }
        catch (JsonException error)
        {
            throw JsonText.Malformed(file, error);
        }
    }

    /// <summary>The key with the names of the objects around it, as messages show it.</summary>
    public string FullKey(string key) => prefix + key;

    /// <summary>True when the member is there and not null.</summary>
    public bool Has(string key) => Find(key) is not null;

    /// <summary>The object at <paramref name="key"/>, or null.</summary>
    public JsonSection? Section(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Object } value => new JsonSection(File, $"{prefix}{key}.", value),
        _ => throw Invalid(key, "an object"),
    };

    /// <summary>The whole number at <paramref name="key"/>, or null.</summary>
    public int? Int(string key, int min, int max) => Find(key) is JsonElement value ? ToInt(key, value, min, max) : null;

    /// <summary>The whole number at <paramref name="key"/>.</summary>
    public int RequiredInt(string key, int min, int max) => Int(key, min, max) ?? throw Missing(key);

    /// <summary>The finite number at <paramref name="key"/>, or null.</summary>
    public double? Number(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Number } value when value.TryGetDouble(out double number) && double.IsFinite(number) => number,
        _ => throw Invalid(key, "a finite number"),
    };

    /// <summary>The truth value at <paramref name="key"/>, or null.</summary>
    public bool? Bool(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        _ => throw Invalid(key, "true or false"),
    };

    /// <summary>The string at <paramref name="key"/>, or null.</summary>
    public string? Text(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } value => value.GetString(),
        _ => throw Invalid(key, "a string"),
    };

    /// <summary>The strings of the array at <paramref name="key"/>, or null.</summary>
    public ImmutableArray<string>? Texts(string key)
    {
        if (Find(key) is not JsonElement array)
            return null;
        if (array.ValueKind != JsonValueKind.Array || array.EnumerateArray().Any(static item => item.ValueKind != JsonValueKind.String))
            throw Invalid(key, "an array of strings");
        return [.. array.EnumerateArray().Select(static item => item.GetString()!)];
    }

    /// <summary>Whole numbers given as one number or as an array; empty when absent.</summary>
    public ImmutableArray<int> IntOrInts(string key, int min, int max) => Find(key) switch
    {
        null => [],
        { ValueKind: JsonValueKind.Array } array => [.. array.EnumerateArray().Select(item => ToInt(key, item, min, max))],
        JsonElement value => [ToInt(key, value, min, max)],
    };

    /// <summary>The error for a member that must be there.</summary>
    public InvalidDataException Missing(string key) => new($"{File}: {FullKey(key)} is missing");

    /// <summary>The error for a member that breaks <paramref name="rule"/>, which completes "must be …".</summary>
    public InvalidDataException Invalid(string key, string rule) => new($"{File}: {FullKey(key)} is {Shown(key)}, must be {rule}");

    /// <summary>The error for a member whose value is a variant that is not implemented.</summary>
    public NotSupportedException Unsupported(string key, string supported) =>
        new($"{File}: {FullKey(key)} is {Shown(key)}, which is not supported; supported: {supported}");

    private JsonElement? Find(string key) =>
        element.TryGetProperty(key, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private int ToInt(string key, JsonElement value, int min, int max)
    {
        if (value.ValueKind != JsonValueKind.Number || !value.TryGetInt32(out int number) || number < min || number > max)
            throw Invalid(key, $"a whole number from {min} to {max}");
        return number;
    }

    private string Shown(string key) => JsonText.Shown(Find(key)?.GetRawText() ?? "missing");
}
