using System.Text.Json.Nodes;

namespace QwenIlgpu;

/// <summary>A call of a tool by the assistant.</summary>
/// <example>
/// An answer's calls and their results, for the model to go on with:
/// <code>
/// var tools = new System.Text.Json.Nodes.JsonArray(
///     System.Text.Json.Nodes.JsonNode.Parse("""{"type": "function", "function": {"name": "time"}}"""));
/// var messages = new System.Collections.Generic.List&lt;PromptMessage&gt; { PromptMessage.User("What time is it?") };
/// var text = new System.Text.StringBuilder();
/// await foreach (GenerationUpdate update in engine.GenerateAsync(messages, new ChatTemplateOptions { Tools = tools }))
/// {
///     text.Append(update.Kind == TextKind.Answer ? update.Text : "");
///     if (update.FinishReason == FinishReason.ToolCalls)
///     {
///         messages.Add(PromptMessage.Assistant(text.ToString()) with { ToolCalls = update.ToolCalls });
///         foreach (PromptToolCall call in update.ToolCalls)
///             messages.Add(PromptMessage.Tool(call.Name == "time" ? DateTime.Now.ToString("t") : "There is no such function."));
///     }
/// }
/// </code>
/// </example>
/// <param name="Name">The function's name.</param>
/// <param name="Arguments">Its arguments by name.</param>
public sealed record PromptToolCall(string Name, JsonObject Arguments)
{
    /// <summary>What tells it from other calls, for templates that write it; of a call of the model's, it is unique. Null for none.</summary>
    public string? Id { get; init; }

    internal JsonObject ToJson()
    {
        JsonObject call = new()
        {
            ["type"] = "function",
            ["function"] = new JsonObject { ["name"] = Name, ["arguments"] = Arguments.DeepClone() },
        };
        if (Id is not null) call["id"] = Id;
        return call;
    }
}
