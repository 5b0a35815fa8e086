using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Cli;

/// <summary>Writes the one JSON value of a command, on one line, with text as it is rather than escaped.</summary>
internal static class JsonOutput
{
    private static readonly JsonSerializerOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void WriteJson(this Terminal terminal, JsonNode value) => terminal.Output.WriteLine(LineOf(value));

    public static string LineOf(JsonNode value) => value.ToJsonString(Options);

    /// <summary>An array of numbers.</summary>
    public static JsonArray ToJson(this IEnumerable<int> values) => new([.. values.Select(v => JsonValue.Create(v))]);

    /// <summary>A number rounded for reading; null where there is none.</summary>
    public static JsonNode? Rounded(double value, int digits) =>
        double.IsFinite(value) ? JsonValue.Create(Math.Round(value, digits)) : null;
}
