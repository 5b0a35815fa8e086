using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cli.Chat;

/// <summary>
/// Conversations as files: messages, not token ids, so that any model can go on with them. A file says its version, and what this version
/// does not know is refused rather than lost.
/// </summary>
internal static class ChatFile
{
    private const string Format = "qwen-chat";
    private const int Version = 1;
    private const long MostBytes = 1 << 28;

    private static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Writes a conversation; the file is there when it is complete.</summary>
    public static void Save(string path, Conversation conversation)
    {
        var root = new JsonObject
        {
            ["format"] = Format,
            ["version"] = Version,
            ["messages"] = new JsonArray([.. conversation.Messages.Select(m => m.ToJson())]),
        };
        OutputFile.WriteText(path, root.ToJsonString(Indented) + "\n");
    }

    /// <summary>The instructions and turns of a file.</summary>
    /// <exception cref="InvalidDataException">The file is none of these, or holds what this version does not know.</exception>
    public static (string? System, IReadOnlyList<Turn> Turns) Load(string path)
    {
        if (FileKinds.Of(path) == FileKind.Missing)
            throw new FileNotFoundException($"{path}: no such file; /load takes one that /save has written");
        return Read(path, Parse(path, CheckpointFile.ReadText(path, MostBytes), Format, Version, "messages"));
    }

    /// <summary>The object that a file of a format and version holds, with no other properties than these.</summary>
    public static JsonElement Parse(string path, ReadOnlySpan<byte> text, string format, int version, params ReadOnlySpan<string> known)
    {
        JsonText.RequireWholeStrings(path, text);
        JsonElement root = JsonText.Parse(path, text);
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("format", out JsonElement name) || !Is(name, format))
            throw new InvalidDataException($"{path}: is no saved conversation; one has \"format\": \"{format}\"");
        string given = root.TryGetProperty("version", out JsonElement number) ? number.GetRawText() : "missing";
        if (given != $"{version}")
            throw new InvalidDataException($"{path}: version is {given}; this qwen reads version {version}");
        RefuseUnknown(path, "", root, ["format", "version", .. known]);
        return root;
    }

    /// <summary>The instructions and turns of such an object.</summary>
    public static (string? System, IReadOnlyList<Turn> Turns) Read(string path, JsonElement root)
    {
        if (!root.TryGetProperty("messages", out JsonElement messages) || messages.ValueKind != JsonValueKind.Array)
            throw new InvalidDataException($"{path}: messages is not an array");
        return Turns(path, [.. messages.EnumerateArray().Select((m, i) => Message(path, $"messages[{i}]", m))]);
    }

    private static (string? System, IReadOnlyList<Turn> Turns) Turns(string path, PromptMessage[] messages)
    {
        int first = messages is [{ Role: "system" }, ..] ? 1 : 0;
        for (int i = first; i < messages.Length; i++)
        {
            string expected = (i - first) % 2 == 0 ? "user" : "assistant";
            if (messages[i].Role != expected)
                throw new InvalidDataException($"{path}: messages[{i}].role is \"{messages[i].Role}\"; \"{expected}\" is expected there");
        }

        if ((messages.Length - first) % 2 != 0)
            throw new InvalidDataException($"{path}: messages end with a question; an answer is expected behind each");
        return (first == 1 ? messages[0].Content : null, [.. messages[first..].Chunk(2).Select(pair => new Turn(pair[0], pair[1]))]);
    }

    private static PromptMessage Message(string path, string name, JsonElement message)
    {
        if (message.ValueKind != JsonValueKind.Object)
            throw new InvalidDataException($"{path}: {name} is not an object");
        RefuseUnknown(path, $"{name}.", message, "role", "content", "reasoning_content");
        string Text(string property) => TextOrNull(property) ?? throw new InvalidDataException($"{path}: {name}.{property} is missing");
        string? TextOrNull(string property) => !message.TryGetProperty(property, out JsonElement value) ? null
            : value.ValueKind == JsonValueKind.String ? value.GetString()
            : throw new InvalidDataException($"{path}: {name}.{property} is not a string");
        return new PromptMessage(Text("role"), Text("content")) { ReasoningContent = TextOrNull("reasoning_content") };
    }

    private static void RefuseUnknown(string path, string name, JsonElement value, params ReadOnlySpan<string> known)
    {
        foreach (JsonProperty property in value.EnumerateObject())
        {
            if (!known.Contains(property.Name))
            {
                throw new InvalidDataException(
                    $"{path}: {name}{property.Name} is not known to version {Version}; there are {string.Join(", ", known!)}");
            }
        }
    }

    private static bool Is(JsonElement value, string text) => value.ValueKind == JsonValueKind.String && value.ValueEquals(text);
}
