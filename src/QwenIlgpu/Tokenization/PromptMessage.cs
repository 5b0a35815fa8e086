using System.Text.Json.Nodes;

namespace QwenIlgpu;

/// <summary>One message of a conversation.</summary>
/// <param name="Role">Who speaks: <c>system</c> (first message only), <c>user</c>, <c>assistant</c> or <c>tool</c>.</param>
/// <param name="Content">What is said. Control tokens written in it are plain text to the model.</param>
public sealed record PromptMessage(string Role, string Content)
{
    /// <summary>An assistant's thoughts before its answer; null where they are not kept apart from <see cref="Content"/>.</summary>
    public string? ReasoningContent { get; init; }

    /// <summary>The tools an assistant called after its answer.</summary>
    public IReadOnlyList<PromptToolCall> ToolCalls { get; init; } = [];

    /// <summary>What the user asks or says.</summary>
    public static PromptMessage User(string content) => new("user", content);

    /// <summary>Instructions that hold for the whole conversation; first message only.</summary>
    public static PromptMessage System(string content) => new("system", content);

    /// <summary>What the model answered.</summary>
    public static PromptMessage Assistant(string content) => new("assistant", content);

    /// <summary>What a tool returned.</summary>
    public static PromptMessage Tool(string content) => new("tool", content);

    internal JsonObject ToJson()
    {
        JsonObject message = new() { ["role"] = Role, ["content"] = Content };
        if (ReasoningContent is not null) message["reasoning_content"] = ReasoningContent;
        if (ToolCalls.Count > 0) message["tool_calls"] = new JsonArray([.. ToolCalls.Select(call => call.ToJson())]);
        return message;
    }
}
