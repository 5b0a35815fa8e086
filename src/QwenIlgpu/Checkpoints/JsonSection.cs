using System.Collections.Concurrent;
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

    // Requests on many threads read the same generation_config.json.
    private readonly ConcurrentDictionary<string, bool> asked = new();

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

    /// <summary>Names of the members that were asked for so far, there or not.</summary>
    public ICollection<string> Asked => asked.Keys;

    /// <summary>Reads a file that is one JSON object.</summary>
    public static JsonSection Load(string file)
    {
        byte[] text = CheckpointFile.ReadText(file, MaxFileBytes);
        JsonElement root = JsonText.Parse(file, text);
        JsonText.RequireWholeStrings(file, text);
        if (root.ValueKind != JsonValueKind.Object)
            throw new InvalidDataException($"{file}: is a JSON {root.ValueKind}, an object is expected");
        return new JsonSection(file, string.Empty, root);
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

    /// <summary>The finite number at <paramref name="key"/>, or null where there is none, whatever is there instead.</summary>
    public double? NumberOrNull(string key) =>
        Find(key) is { ValueKind: JsonValueKind.Number } value && value.TryGetDouble(out double number) && double.IsFinite(number) ? number : null;

    /// <summary>What is at <paramref name="key"/>, or null.</summary>
    public JsonElement? Value(string key) => Find(key);

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

    private JsonElement? Find(string key)
    {
        asked.TryAdd(key, true);
        JsonElement? found = null;
        foreach (JsonProperty member in element.EnumerateObject())
        {
            if (!member.NameEquals(key))
                continue;
            if (found is { } first && !JsonElement.DeepEquals(first, member.Value))
            {
                throw new InvalidDataException(
                    $"{File}: {FullKey(key)} is given twice, as {JsonText.Shown(first.GetRawText())} and as {JsonText.Shown(member.Value.GetRawText())}");
            }

            found = member.Value;
        }

        return found is { ValueKind: not JsonValueKind.Null } ? found : null;
    }

    // Some writers spell whole numbers 20.0.
    private int ToInt(string key, JsonElement value, int min, int max)
    {
        bool whole = value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && double.IsInteger(number)
            && number >= min && number <= max;
        return whole ? (int)value.GetDouble() : throw Invalid(key, $"a whole number from {min} to {max}");
    }

    // Written over several lines, an array would fill the message with blanks.
    private string Shown(string key)
    {
        string raw = element.TryGetProperty(key, out JsonElement value) ? value.GetRawText() : "missing";
        return JsonText.Shown(value.ValueKind is JsonValueKind.Array or JsonValueKind.Object
            ? string.Join(' ', raw.Split((char[])[' ', '\t', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries))
            : raw);
    }
}
