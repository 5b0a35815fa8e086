using System.Text.Json;

namespace QwenIlgpu;

/// <summary>The content of a message as Qwen3.6's template renders it: a text, or a list of texts, images and videos.</summary>
internal sealed class MessageContent(bool addVisionId)
{
    private int images;
    private int videos;

    /// <summary>The content of a message. Images and videos are numbered once: where <paramref name="counts"/> is set.</summary>
    public RenderedPrompt Render(JsonElement message, bool counts, bool isSystem = false)
    {
        if (message.ValueKind != JsonValueKind.Object || !message.TryGetProperty("content", out JsonElement content))
            return RenderedPrompt.Given("");

        return content.ValueKind switch
        {
            JsonValueKind.String => RenderedPrompt.Given(PythonJson.GetString(content)),
            JsonValueKind.Null => RenderedPrompt.Given(""),
            JsonValueKind.Array => RenderParts(content, counts, isSystem),
            _ => throw new ArgumentException("Unexpected content type."),
        };
    }

    private RenderedPrompt RenderParts(JsonElement parts, bool counts, bool isSystem)
    {
        PromptWriter text = new();
        foreach (JsonElement part in parts.EnumerateArray())
        {
            if (Holds(part, "image") || Holds(part, "image_url") || IsOfType(part, "image"))
            {
                if (isSystem) throw new ArgumentException("System message cannot contain images.");
                if (counts) images++;
                if (addVisionId) text.Template($"Picture {images}: ");
                text.Template("<|vision_start|><|image_pad|><|vision_end|>");
            }
            else if (Holds(part, "video") || IsOfType(part, "video"))
            {
                if (isSystem) throw new ArgumentException("System message cannot contain videos.");
                if (counts) videos++;
                if (addVisionId) text.Template($"Video {videos}: ");
                text.Template("<|vision_start|><|video_pad|><|vision_end|>");
            }
            else if (Holds(part, "text"))
            {
                if (part.ValueKind == JsonValueKind.Object) text.Given(PythonText.ToText(part.GetProperty("text")));
            }
            else
            {
                throw new ArgumentException("Unexpected item type in content.");
            }
        }

        return text.ToPrompt();
    }

    // Python's `word in part`: a key of a mapping, an item of a list, a stretch of a text.
    private static bool Holds(JsonElement part, string word) => part.ValueKind switch
    {
        JsonValueKind.Object => part.TryGetProperty(word, out _),
        JsonValueKind.Array => part.EnumerateArray().Any(item => IsText(item, word)),
        JsonValueKind.String => PythonJson.GetString(part).Contains(word, StringComparison.Ordinal),
        _ => throw new ArgumentException($"A part of a content must be an object, not {part.ValueKind}."),
    };

    private static bool IsOfType(JsonElement part, string type) =>
        part.ValueKind == JsonValueKind.Object && part.TryGetProperty("type", out JsonElement value)
        && IsText(value, type);

    private static bool IsText(JsonElement value, string text) =>
        value.ValueKind == JsonValueKind.String && PythonJson.GetString(value) == text;
}
