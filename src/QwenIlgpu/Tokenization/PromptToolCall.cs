using System.Text.Json.Nodes;

namespace QwenIlgpu;

/// <summary>A call of a tool by the assistant.</summary>
/// <param name="Name">The function's name.</param>
/// <param name="Arguments">Its arguments by name.</param>
public sealed record PromptToolCall(string Name, JsonObject Arguments)
{
    internal JsonObject ToJson() => new()
    {
        ["type"] = "function",
        ["function"] = new JsonObject { ["name"] = Name, ["arguments"] = Arguments.DeepClone() },
    };
}
