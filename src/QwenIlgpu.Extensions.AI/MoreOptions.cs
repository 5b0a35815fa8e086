using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;

namespace QwenIlgpu.Extensions.AI;

/// <summary>
/// <see cref="ChatOptions.AdditionalProperties"/> as the options that they are, whatever type they come in: what a program sets, or JSON.
/// </summary>
internal sealed class MoreOptions(AdditionalPropertiesDictionary? properties)
{
    private static readonly string[] Known =
        ["min_p", "repetition_penalty", "logit_bias", "top_logprobs", "enable_thinking", "preserve_thinking", "reasoning_effort", "chat_template_kwargs"];

    private readonly Dictionary<string, JsonNode?> given = (properties ?? []).ToDictionary(p => p.Key, p => ToNode(p.Key, p.Value), StringComparer.Ordinal);

    public float? Number(string name) => Take<float?>(name, "a number", node => node.GetValueKind() == JsonValueKind.Number
        ? float.Parse(node.ToJsonString(), NumberStyles.Float, CultureInfo.InvariantCulture) : null);

    public int? Whole(string name) => Take<int?>(name, "a whole number", node =>
        int.TryParse(node.ToJsonString(), NumberStyles.Integer, CultureInfo.InvariantCulture, out int value) ? value : null);

    public bool? Truth(string name) => Take<bool?>(name, "true or false", node =>
        node.GetValueKind() is JsonValueKind.True or JsonValueKind.False ? node.GetValueKind() == JsonValueKind.True : null);

    public string? Text(string name) => Take<string>(name, "a text", node => node.GetValueKind() == JsonValueKind.String ? node.GetValue<string>() : null);

    public JsonObject? Variables(string name) => Take(name, "an object", node => node as JsonObject);

    /// <summary>Token ids with what is added to their logits, as OpenAI writes them: <c>{"42": -100}</c>.</summary>
    public IReadOnlyDictionary<int, float>? Bias(string name) => Take<IReadOnlyDictionary<int, float>>(name, "an object of token ids and numbers", node =>
    {
        var bias = new Dictionary<int, float>();
        foreach ((string id, JsonNode? value) in node as JsonObject ?? [])
        {
            if (!int.TryParse(id, NumberStyles.Integer, CultureInfo.InvariantCulture, out int token) || value?.GetValueKind() != JsonValueKind.Number)
                return null;
            bias[token] = float.Parse(value.ToJsonString(), NumberStyles.Float, CultureInfo.InvariantCulture);
        }

        return node is JsonObject ? bias : null;
    });

    /// <summary>Refuses properties that nobody has asked for.</summary>
    /// <exception cref="NotSupportedException">There is one.</exception>
    public void RefuseTheRest()
    {
        string[] unknown = [.. given.Keys.Except(Known, StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        if (unknown.Length > 0)
            throw new NotSupportedException($"AdditionalProperties holds {string.Join(", ", unknown)}; known are {string.Join(", ", Known)}");
    }

    private T? Take<T>(string name, string kind, Func<JsonNode, T?> read)
    {
        if (!given.TryGetValue(name, out JsonNode? node) || node is null)
            return default;
        return read(node) ?? throw new ArgumentException($"AdditionalProperties: {name} is {node.ToJsonString()}; it must be {kind}");
    }

    private static JsonNode? ToNode(string name, object? value)
    {
        try
        {
            return value is null ? null : JsonSerializer.SerializeToNode(value, AIJsonUtilities.DefaultOptions.GetTypeInfo(value.GetType()));
        }
        catch (NotSupportedException e)
        {
            throw new ArgumentException($"AdditionalProperties: {name} is a {value!.GetType()}, which is no JSON", e);
        }
    }
}
