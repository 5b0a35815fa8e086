using System.Text.Json.Nodes;

namespace QwenIlgpu;

/// <summary>A call of a tool by the assistant.</summary>
/// <example>
/// An answer's calls and their results, for the model to go on with; <c>Call</c> stands for the functions of the program:
/// <code>
/// await foreach (GenerationUpdate update in engine.GenerateAsync(messages, new ChatTemplateOptions { Tools = tools }))
/// {
///     text.Append(update.Kind == TextKind.Answer ? update.Text : "");
///     if (update.FinishReason == FinishReason.ToolCalls)
///     {
///         messages.Add(PromptMessage.Assistant(text.ToString()) with { ToolCalls = update.ToolCalls });
///         messages.AddRange(update.ToolCalls.Select(call => PromptMessage.Tool(Call(call.Name, call.Arguments))));
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
