using System.Text;
using System.Text.Json;

namespace QwenIlgpu;

/// <summary>
/// Where the source of a chat template was found. <c>chat_template.jinja</c> counts before <c>chat_template.json</c>, and that before
/// <c>tokenizer_config.json</c>, which may hold one template or a list of named ones; files in <c>additional_chat_templates</c> are named,
/// too. Of a list <c>default</c> counts, and <c>tool_use</c> where tools are given
/// of the same place, as Hugging Face's transformers have it.
/// </summary>
/// <param name="Name">What the template is called to people.</param>
/// <param name="Path">The file, for errors.</param>
/// <param name="Text">Its Jinja source.</param>
internal sealed record ChatTemplateSource(string Name, string Path, string Text)
{
    /// <summary>The name of the built-in template, which behaves as Qwen3.6's.</summary>
    public const string BuiltIn = "qwen3.6";

    private const string JinjaFile = "chat_template.jinja";
    private const string JsonFile = "chat_template.json";
    private const string ConfigFile = "tokenizer_config.json";
    private const string NamedDirectory = "additional_chat_templates";
    private const string Key = "chat_template";
    private const string Default = "default";
    private const string ToolUse = "tool_use";

    // Published ones have 30 KB at most.
    private const long MaxBytes = 256 << 10;

    private static readonly Lazy<string> builtInText = new(static () =>
    {
        using Stream stream = typeof(ChatTemplateSource).Assembly.GetManifestResourceStream($"{BuiltIn}.jinja")!;
        using StreamReader reader = new(stream);
        return reader.ReadToEnd();
    });

    /// <summary>The source that takes this one's place where tools are given; null for none.</summary>
    public string? ToolUseText { get; private init; }

    /// <summary>Which other sources differ; null where none does.</summary>
    public string? Notice { get; private init; }

    /// <summary>The tokens that the template knows by name, such as <c>bos_token</c>.</summary>
    public IReadOnlyDictionary<string, string> SpecialTokens { get; private init; } = new Dictionary<string, string>();

    /// <summary>The template of a checkpoint directory, or the chosen one: a path that exists, else a name of the checkpoint's, else the built-in.</summary>
    /// <exception cref="ArgumentException">The choice is none of these.</exception>
    public static ChatTemplateSource Find(string directory, string? choice)
    {
        JsonElement? config = ReadObject(System.IO.Path.Combine(directory, ConfigFile));
        ChatTemplateSource source = choice is null ? OfCheckpoint(directory, config) : Chosen(directory, config, choice);
        return source with { SpecialTokens = TokensOf(config) };
    }

    /// <summary>What is wrong with a choice; null where nothing is.</summary>
    public static string? Refusal(string directory, string choice)
    {
        if (File.Exists(choice) || choice == BuiltIn)
            return null;
        string[] names = [.. Named(directory, ReadObject(System.IO.Path.Combine(directory, ConfigFile))).Select(static source => source.Name)];
        return names.Contains(choice)
            ? null
            : $"\"{choice}\" is no chat template: there is no such file, {directory} names {(names.Length == 0 ? "none" : string.Join(", ", names))}, built in is {BuiltIn}";
    }

    private static ChatTemplateSource Chosen(string directory, JsonElement? config, string choice)
    {
        if (File.Exists(choice))
            return OfFile(choice, choice);
        if (Named(directory, config).LastOrDefault(source => source.Name == choice) is { } named)
            return named;
        return choice == BuiltIn ? Included() : throw new ArgumentException(Refusal(directory, choice));
    }

    private static ChatTemplateSource OfCheckpoint(string directory, JsonElement? config)
    {
        ChatTemplateSource? first = null;
        List<string> differing = [];
        foreach (Func<ChatTemplateSource?> read in Sources(directory, config))
        {
            if (first is null)
                first = read();
            else if (Readable(read) is { } other && Lines(other.Text) != Lines(first.Text))
                differing.Add(other.Name);
        }

        // Named ones of another place are not asked for, so that their faults stop nobody either.
        ChatTemplateSource[] named = [.. Named(directory, first is null or { Name: ConfigFile } ? config : null)];
        if (first is null && named.Length > 0)
        {
            throw new InvalidDataException(
                $"{named[0].Path}: of the chat templates {string.Join(", ", named.Select(static source => source.Name))} none is \"{Default}\"; "
                + "choose one (--chat-template NAME)");
        }

        return (first ?? Included()) with
        {
            ToolUseText = named.LastOrDefault(static source => source.Name == ToolUse)?.Text,
            Notice = differing.Count == 0 ? null : $"{first!.Name} and the chat_template of {string.Join(" and ", differing)} differ; {first.Name} counts",
        };
    }

    // In the order in which they count.
    private static Func<ChatTemplateSource?>[] Sources(string directory, JsonElement? config)
    {
        string jinja = System.IO.Path.Combine(directory, JinjaFile);
        string json = System.IO.Path.Combine(directory, JsonFile);
        return
        [
            () => CheckpointFile.Exists(jinja) ? OfFile(jinja, JinjaFile) : null,
            () => OfJson(json, JsonFile, ReadObject(json)),
            () => OfJson(System.IO.Path.Combine(directory, ConfigFile), ConfigFile, config),
        ];
    }

    // A source that does not count is only compared, so that its faults stop nobody.
    private static ChatTemplateSource? Readable(Func<ChatTemplateSource?> read)
    {
        try
        {
            return read();
        }
        catch (Exception error) when (CheckpointFile.IsFault(error))
        {
            return null;
        }
    }

    private static ChatTemplateSource OfFile(string path, string name) =>
        Of(name, path, Encoding.UTF8.GetString(CheckpointFile.ReadText(path, MaxBytes)));

    private static ChatTemplateSource? OfJson(string path, string name, JsonElement? json)
    {
        if (json?.TryGetProperty(Key, out JsonElement value) != true || value.ValueKind == JsonValueKind.Null)
            return null;
        if (value.ValueKind == JsonValueKind.String)
            return Of(name, path, PythonJson.GetString(value));
        return NamedIn(path, value).LastOrDefault(static source => source.Name == Default) is { } source ? source with { Name = name } : null;
    }

    private static IEnumerable<ChatTemplateSource> Named(string directory, JsonElement? config)
    {
        if (config?.TryGetProperty(Key, out JsonElement value) == true && value.ValueKind is not (JsonValueKind.Null or JsonValueKind.String))
        {
            foreach (ChatTemplateSource source in NamedIn(System.IO.Path.Combine(directory, ConfigFile), value))
                yield return source;
        }

        string more = System.IO.Path.Combine(directory, NamedDirectory);
        string[] files = Directory.Exists(more) ? Directory.GetFiles(more, "*.jinja") : [];
        foreach (string path in files.Order(StringComparer.Ordinal))
            yield return OfFile(path, System.IO.Path.GetFileNameWithoutExtension(path));
    }

    // [{"name": …, "template": …}], or {name: template}.
    private static IEnumerable<ChatTemplateSource> NamedIn(string path, JsonElement list)
    {
        InvalidDataException Invalid() => new(
            $"{path}: {Key} is {JsonText.Shown(list.GetRawText())}; a text, or a list of names with templates, is expected");
        if (list.ValueKind == JsonValueKind.Object)
            return [.. list.EnumerateObject().Select(entry => Entry(entry.Name, entry.Value))];
        if (list.ValueKind != JsonValueKind.Array)
            throw Invalid();
        return
        [
            .. list.EnumerateArray().Select(entry => entry.ValueKind == JsonValueKind.Object && entry.TryGetProperty("name", out JsonElement name)
                && name.ValueKind == JsonValueKind.String && entry.TryGetProperty("template", out JsonElement text)
                ? Entry(PythonJson.GetString(name), text) : throw Invalid()),
        ];

        ChatTemplateSource Entry(string name, JsonElement text) =>
            text.ValueKind == JsonValueKind.String ? Of(name, path, PythonJson.GetString(text)) : throw Invalid();
    }

    private static ChatTemplateSource Included() => new(BuiltIn, BuiltIn, builtInText.Value);

    private static ChatTemplateSource Of(string name, string path, string text) => string.IsNullOrWhiteSpace(text)
        ? throw new InvalidDataException($"{path}: the chat template is empty")
        : new ChatTemplateSource(name, path, text.TrimStart('\uFEFF'));

    // Jinja takes all line ends alike, and drops one at the end of a source.
    private static string Lines(string text)
    {
        string lines = text.ReplaceLineEndings("\n");
        return lines.EndsWith('\n') ? lines[..^1] : lines;
    }

    private static JsonElement? ReadObject(string path)
    {
        if (!CheckpointFile.Exists(path))
            return null;
        byte[] text = CheckpointFile.ReadText(path, JsonSection.MaxFileBytes);
        JsonElement value = JsonText.Parse(path, text);
        JsonText.RequireWholeStrings(path, text);
        return value.ValueKind == JsonValueKind.Object ? value
            : throw new InvalidDataException($"{path}: is a JSON {value.ValueKind}, an object is expected");
    }

    // Each is a text, or an object that holds it.
    private static Dictionary<string, string> TokensOf(JsonElement? config)
    {
        Dictionary<string, string> tokens = new(StringComparer.Ordinal);
        foreach (JsonProperty member in config?.EnumerateObject() ?? [])
        {
            JsonElement value = member.Value.ValueKind == JsonValueKind.Object && member.Value.TryGetProperty("content", out JsonElement content)
                ? content : member.Value;
            if (member.Name.EndsWith("_token", StringComparison.Ordinal) && value.ValueKind == JsonValueKind.String)
                tokens[member.Name] = PythonJson.GetString(value);
        }

        return tokens;
    }
}
