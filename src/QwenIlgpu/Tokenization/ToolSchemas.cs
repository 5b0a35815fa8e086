using System.Text.Json;
using System.Text.Json.Nodes;

namespace QwenIlgpu;

/// <summary>
/// What the parameters of the offered tools may be, read from their JSON schemas, and values of calls by it. The text of a value is a
/// string only where the schema says so or where it is nothing else: then the function itself finds fault with it.
/// </summary>
internal sealed class ToolSchemas
{
    // Function → parameter → what it may be. What is not there may be anything.
    private readonly Dictionary<string, Dictionary<string, ParameterType>> functions = new(StringComparer.Ordinal);

    /// <summary>The schemas of tools as OpenAI writes them, or of bare functions; what is neither, or has no schema, restricts nothing.</summary>
    public static ToolSchemas Of(JsonArray tools)
    {
        var schemas = new ToolSchemas();
        foreach (JsonElement tool in JsonElement.Parse(tools.ToJsonString()).EnumerateArray())
        {
            JsonElement function = Member(tool, "function") ?? tool;
            if (Member(function, "name") is not { ValueKind: JsonValueKind.String } name)
                continue;
            Dictionary<string, ParameterType> types = new(StringComparer.Ordinal);
            if (Member(function, "parameters") is { } parameters
                && Member(parameters, "properties") is { ValueKind: JsonValueKind.Object } properties)
            {
                foreach (JsonProperty property in properties.EnumerateObject())
                    types[property.Name] = ParameterType.Of(property.Value);
            }

            schemas.functions[PythonJson.GetString(name)] = types;
        }

        return schemas;
    }

    /// <summary>The value of a parameter that is written as text.</summary>
    public JsonNode? ValueOf(string function, string parameter, string text) => TypeOf(function, parameter).ValueOf(text);

    /// <summary>The value of a parameter that is written as JSON: as it is, but for a string where the schema wants none.</summary>
    public JsonNode? ValueOf(string function, string parameter, JsonElement value)
    {
        ParameterType type = TypeOf(function, parameter);
        return value.ValueKind == JsonValueKind.String && !type.Kinds.HasFlag(JsonKinds.String)
            ? type.ValueOf(PythonJson.GetString(value)) : NodeOf(value);
    }

    /// <summary>The JSON that a text is; null where it is none.</summary>
    public static JsonElement? Parse(string text)
    {
        try
        {
            return JsonElement.Parse(text);
        }
        catch (Exception e) when (e is JsonException or ArgumentException)
        {
            return null;
        }
    }

    /// <summary>JSON that can be changed: numbers with all their digits, of equal keys the last.</summary>
    public static JsonNode? NodeOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => new JsonObject(PythonJson.Properties(value).Select(static pair => KeyValuePair.Create(pair.Key, NodeOf(pair.Value)))),
        JsonValueKind.Array => new JsonArray([.. value.EnumerateArray().Select(NodeOf)]),
        JsonValueKind.String => JsonValue.Create(PythonJson.GetString(value)),
        JsonValueKind.Null => null,
        _ => JsonValue.Create(value),
    };

    private ParameterType TypeOf(string function, string parameter) =>
        functions.TryGetValue(function, out Dictionary<string, ParameterType>? types) && types.TryGetValue(parameter, out ParameterType? type)
            ? type : ParameterType.Any;

    private static JsonElement? Member(JsonElement value, string name) =>
        value.ValueKind == JsonValueKind.Object && value.TryGetProperty(name, out JsonElement member) ? member : null;

    [Flags]
    private enum JsonKinds
    {
        None = 0,
        String = 1,
        Integer = 2,
        Number = 4,
        Boolean = 8,
        Null = 16,
        Object = 32,
        Array = 64,
        Any = 127,
    }

    /// <param name="Kinds">What a value may be.</param>
    /// <param name="Texts">Strings that the schema lists, which count before all else that they may look like.</param>
    private sealed record ParameterType(JsonKinds Kinds, IReadOnlySet<string> Texts)
    {
        public static readonly ParameterType Any = new(JsonKinds.Any, new HashSet<string>());

        public static ParameterType Of(JsonElement schema) => new(KindsOf(schema), Listed(schema)
            .Where(static value => value.ValueKind == JsonValueKind.String).Select(PythonJson.GetString).ToHashSet(StringComparer.Ordinal));

        public JsonNode? ValueOf(string text)
        {
            if (Kinds == JsonKinds.String || Texts.Contains(text))
                return JsonValue.Create(text);
            try
            {
                return Parse(Literal(text.Trim())) is { ValueKind: not JsonValueKind.String } value && (Kinds & KindsOfValue(value)) != 0
                    ? NodeOf(value) : JsonValue.Create(text);
            }
            catch (InvalidOperationException)
            {
                // A key with half a character.
                return JsonValue.Create(text);
            }
        }

        // Templates of this family have written True, False and None, as Python does, and models go on doing so.
        private string Literal(string text) => text switch
        {
            "True" or "False" when Kinds != JsonKinds.Any && Kinds.HasFlag(JsonKinds.Boolean) => text.ToLowerInvariant(),
            "None" when Kinds != JsonKinds.Any && Kinds.HasFlag(JsonKinds.Null) => "null",
            _ => text,
        };

        private static JsonKinds KindsOf(JsonElement schema)
        {
            if (Member(schema, "type") is { } type)
                return Union(type.ValueKind == JsonValueKind.Array ? type.EnumerateArray().Select(KindOfName) : [KindOfName(type)]);
            if (Member(schema, "enum") is not null || Member(schema, "const") is not null)
                return Union(Listed(schema).Select(KindsOfValue));
            return (Member(schema, "anyOf") ?? Member(schema, "oneOf")) is { ValueKind: JsonValueKind.Array } branches
                ? Union(branches.EnumerateArray().Select(KindsOf)) : JsonKinds.Any;
        }

        private static JsonElement[] Listed(JsonElement schema) =>
            Member(schema, "enum") is { ValueKind: JsonValueKind.Array } values ? [.. values.EnumerateArray()]
            : Member(schema, "const") is { } value ? [value] : [];

        private static JsonKinds Union(IEnumerable<JsonKinds> kinds) =>
            kinds.Aggregate(JsonKinds.None, static (all, kind) => all | kind) is var union and not JsonKinds.None ? union : JsonKinds.Any;

        // A number without fraction and exponent is an integer, too.
        private static JsonKinds KindsOfValue(JsonElement value) => value.ValueKind switch
        {
            JsonValueKind.String => JsonKinds.String,
            JsonValueKind.Number => value.GetRawText().AsSpan().ContainsAny('.', 'e', 'E') ? JsonKinds.Number : JsonKinds.Number | JsonKinds.Integer,
            JsonValueKind.True or JsonValueKind.False => JsonKinds.Boolean,
            JsonValueKind.Object => JsonKinds.Object,
            JsonValueKind.Array => JsonKinds.Array,
            _ => JsonKinds.Null,
        };

        private static JsonKinds KindOfName(JsonElement name) => name.ValueKind != JsonValueKind.String ? JsonKinds.Any : name.GetString() switch
        {
            "string" => JsonKinds.String,
            "integer" => JsonKinds.Integer,
            "number" => JsonKinds.Number,
            "boolean" => JsonKinds.Boolean,
            "null" => JsonKinds.Null,
            "object" => JsonKinds.Object,
            "array" => JsonKinds.Array,
            _ => JsonKinds.Any,
        };
    }
}
