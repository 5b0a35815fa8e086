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

    private const string JinjaFile = "chat_template.jinja";
    private const string ConfigFile = "tokenizer_config.json";
    private const long MaxJinjaBytes = 1 << 20;

    private ChatTemplate(string name, string? notice = null) => (Name, Notice) = (name, notice);

    /// <summary>Which template this is.</summary>
    public string Name { get; }

    /// <summary>The control token with which every message ends.</summary>
    public string EndOfTurn => "<|im_end|>";

    /// <summary>What two sources of the template contradict each other in, and which counts; null where they do not.</summary>
    public string? Notice { get; }

    /// <summary>The template of a checkpoint directory; Qwen3.6's where it has none, or the one named.</summary>
    /// <exception cref="NotSupportedException">The checkpoint's template is none of those that are known.</exception>
    public static ChatTemplate Load(string directory, string? name = null)
    {
        if (name is not null)
        {
            return name == Qwen36
                ? new ChatTemplate(name)
                : throw new ArgumentException($"There is no chat template \"{name}\"; known is {Qwen36}.");
        }

        (string? source, string path, string? notice) = ReadSource(directory);
        if (source is null || Hash(source) == Qwen36Sha256) return new ChatTemplate(Qwen36, notice);
        throw new NotSupportedException(
            $"{path}: the chat template with sha256 {Hash(source)} is not known. --chat-template {Qwen36} renders Qwen3.6's instead."
            + (notice is null ? "" : $" {notice}."));
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

    private static (string? Source, string Path, string? Notice) ReadSource(string directory)
    {
        string jinja = Path.Combine(directory, JinjaFile);
        string config = Path.Combine(directory, ConfigFile);
        if (!CheckpointFile.Exists(jinja))
            return (CheckpointFile.Exists(config) ? ReadConfig(config) : null, config, null);

        string source = Encoding.UTF8.GetString(CheckpointFile.ReadText(jinja, MaxJinjaBytes));
        bool differs = CheckpointFile.Exists(config) && TryReadConfig(config) is { } other && Hash(other) != Hash(source);
        return (source, jinja, differs ? $"{JinjaFile} and the chat_template of {ConfigFile} differ; {JinjaFile} counts" : null);
    }

    // Beside a file of its own the template of the configuration is only compared, so that its faults stop nobody.
    private static string? TryReadConfig(string path)
    {
        try
        {
            return ReadConfig(path);
        }
        catch (Exception error) when (CheckpointFile.IsFault(error))
        {
            return null;
        }
    }

    private static string? ReadConfig(string path)
    {
        byte[] text = CheckpointFile.ReadText(path, JsonSection.MaxFileBytes);
        JsonElement config = JsonText.Parse(path, text);
        if (config.ValueKind != JsonValueKind.Object) throw new InvalidDataException($"{path}: is a JSON {config.ValueKind}, an object is expected");
        try
        {
            if (!config.TryGetProperty("chat_template", out JsonElement template)) return null;
            return template.ValueKind == JsonValueKind.Null ? null : Source(template);
        }
        catch (InvalidOperationException error)         // a name of half a character
        {
            throw JsonText.Malformed(path, text, error);
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
