using System.Text.Json.Nodes;

namespace QwenIlgpu;

/// <summary>How a conversation becomes a prompt. What is left null is not passed on, so that the template's own default holds.</summary>
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

    /// <summary>Whether the model thinks before it answers (<c>enable_thinking</c>).</summary>
    public bool? EnableThinking { get; init; }

    /// <summary>Whether the thoughts of all earlier turns stay in the prompt, not only those since the last question (<c>preserve_thinking</c>).</summary>
    public bool? PreserveThinking { get; init; }

    /// <summary>How long the model thinks (<c>reasoning_effort</c>), in the template's words: Qwen3.8 knows <c>low</c>, <c>medium</c> and <c>xhigh</c>.</summary>
    public string? ReasoningEffort { get; init; }

    /// <summary>Whether images and videos are numbered (<c>add_vision_id</c>).</summary>
    public bool? AddVisionId { get; init; }

    /// <summary>Whether the prompt ends where the assistant's next turn begins (<c>add_generation_prompt</c>). Default true.</summary>
    public bool AddGenerationPrompt { get; init; } = true;

    /// <summary>Whether the prompt ends with the text of the last message, for the model to go on with it; no other turn begins then.</summary>
    public bool ContinueFinalMessage { get; init; }

    /// <summary>Further variables of the template by name; they count before the properties above. Texts in them are never control tokens.</summary>
    public JsonObject? Variables { get; init; }

    /// <summary>The functions that the template is told of; null for none.</summary>
    internal JsonArray? OfferedTools =>
        (Variables?.TryGetPropertyValue("tools", out JsonNode? tools) == true ? tools : Tools) is JsonArray { Count: > 0 } offered ? offered : null;

    // The variables of a template: name → value.
    internal void AddTo(Dictionary<string, object> variables)
    {
        if (Tools is not null)
            variables["tools"] = JinjaJson.ToValue(Tools);
        variables["add_generation_prompt"] = AddGenerationPrompt && !ContinueFinalMessage;
        Set("enable_thinking", EnableThinking);
        Set("preserve_thinking", PreserveThinking);
        Set("reasoning_effort", ReasoningEffort is null ? null : JinjaJson.ToText(ReasoningEffort));
        Set("add_vision_id", AddVisionId);
        foreach ((string name, JsonNode? value) in Variables ?? [])
            variables[name] = JinjaJson.ToValue(value);

        void Set(string name, object? value)
        {
            if (value is not null)
                variables[name] = value;
        }
    }
}
