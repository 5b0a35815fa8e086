using System.Text.Json.Nodes;

namespace QwenIlgpu;

/// <summary>How a conversation becomes a prompt.</summary>
/// <example>
/// An answer at once, with one tool at hand:
/// <code>
/// var weather = System.Text.Json.Nodes.JsonNode.Parse("""{"type": "function", "function": {"name": "weather"}}""");
/// var template = new ChatTemplateOptions { EnableThinking = false, Tools = [weather] };
/// </code>
/// </example>
public sealed record ChatTemplateOptions
{
    /// <summary>The functions the model may call, each as OpenAI writes it: <c>{"type": "function", "function": {…}}</c>.</summary>
    public JsonArray? Tools { get; init; }

    /// <summary>Whether the model thinks before it answers.</summary>
    public bool EnableThinking { get; init; } = true;

    /// <summary>Whether the thoughts of all earlier turns stay in the prompt, not only those since the last question.</summary>
    public bool PreserveThinking { get; init; }

    /// <summary>Whether the prompt ends where the assistant's next turn begins.</summary>
    public bool AddGenerationPrompt { get; init; } = true;

    /// <summary>Whether images and videos are numbered.</summary>
    public bool AddVisionId { get; init; }

    internal JsonObject ToJson() => new()
    {
        ["tools"] = Tools?.DeepClone(),
        ["enable_thinking"] = EnableThinking,
        ["preserve_thinking"] = PreserveThinking,
        ["add_generation_prompt"] = AddGenerationPrompt,
        ["add_vision_id"] = AddVisionId,
    };
}
