using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace QwenIlgpu;

/// <summary>
/// Turns a conversation into a prompt as the checkpoint's own template does. Templates are written in C#, not interpreted, and
/// recognised by the hash of their source.
/// </summary>
internal sealed class ChatTemplate
{
    /// <summary>The name of Qwen3.6's template.</summary>
    public const string Qwen36 = "qwen3.6";

    private const string Qwen36Sha256 = "e84f32a23fdda27689f868aa4a1a5621f41133e51a48d7f3efcbea2839574259";

    private ChatTemplate(string name) => Name = name;

    /// <summary>Which template this is.</summary>
    public string Name { get; }

    /// <summary>The template of a checkpoint directory; Qwen3.6's where it has none, or the one named.</summary>
    public static ChatTemplate Load(string directory, string? name = null)
    {
        if (name is not null)
        {
            return name == Qwen36
                ? new ChatTemplate(name)
                : throw new ArgumentException($"There is no chat template \"{name}\"; known is {Qwen36}.");
        }

        (string? source, string path) = ReadSource(directory);
        if (source is null || Hash(source) == Qwen36Sha256) return new ChatTemplate(Qwen36);
        throw new NotSupportedException(
            $"{path}: the chat template with sha256 {Hash(source)} is not known. --chat-template {Qwen36} renders Qwen3.6's instead.");
    }

    /// <summary>
    /// OpenAI-shaped messages, as an array, with the template's options, as an object. Throws ArgumentException where the template
    /// raises an exception.
    /// </summary>
    public RenderedPrompt Render(JsonElement messages, JsonElement options) => Qwen36Template.Render(messages, options);

    /// <summary>Messages to a prompt. Throws ArgumentException where the template raises an exception.</summary>
    public RenderedPrompt Render(IEnumerable<PromptMessage> messages, ChatTemplateOptions options)
    {
        JsonArray array = new([.. messages.Select(message => message.ToJson())]);
        return Render(JsonSerializer.SerializeToElement(array), JsonSerializer.SerializeToElement(options.ToJson()));
    }

    private static (string? Source, string Path) ReadSource(string directory)
    {
        string path = Path.Combine(directory, "chat_template.jinja");
        if (File.Exists(path)) return (File.ReadAllText(path), path);

        path = Path.Combine(directory, "tokenizer_config.json");
        return (File.Exists(path) ? ReadConfig(path) : null, path);
    }

    private static string? ReadConfig(string path)
    {
        try
        {
            using JsonDocument config = JsonDocument.Parse(File.ReadAllBytes(path));
            if (config.RootElement.ValueKind != JsonValueKind.Object) throw new InvalidDataException($"{path}: is not an object");
            if (!config.RootElement.TryGetProperty("chat_template", out JsonElement template)) return null;
            return template.ValueKind == JsonValueKind.Null ? null : Source(template);
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"{path}: {error.Message}", error);
        }
    }

    // A text, or a list of named ones of which "default" counts. Anything else is hashed as it stands, and so unknown.
    private static string Source(JsonElement template)
    {
        if (template.ValueKind == JsonValueKind.Array)
        {
            foreach (JsonElement entry in template.EnumerateArray())
            {
                if (entry.ValueKind == JsonValueKind.Object && entry.TryGetProperty("name", out JsonElement name)
                    && name.ToString() == "default" && entry.TryGetProperty("template", out JsonElement source))
                {
                    return Source(source);
                }
            }
        }

        return template.ValueKind == JsonValueKind.String ? PythonJson.GetString(template) : template.GetRawText();
    }

    // Jinja drops one line feed at the end of a source.
    private static string Hash(string source) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(source.EndsWith('\n') ? source[..^1] : source)));
}
