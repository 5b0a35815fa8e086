using System.Text.Json.Nodes;

namespace QwenIlgpu;

/// <summary>One message of a conversation.</summary>
/// <example>
/// A conversation that goes on:
/// <code>
/// PromptMessage[] messages =
/// [
///     PromptMessage.System("You are terse."),
///     PromptMessage.User("What is the capital of Norway?"),
///     PromptMessage.Assistant("Oslo."),
///     PromptMessage.User("And of Sweden?"),
/// ];
/// </code>
/// </example>
/// <param name="Role">Who speaks: <c>system</c>, <c>user</c>, <c>assistant</c>, <c>tool</c>, or whom else the chat template knows.</param>
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

    /// <summary>A conversation in an array of its own, every message looked at.</summary>
    internal static PromptMessage[] CopyChecked(IReadOnlyList<PromptMessage> messages, string parameter)
    {
        ArgumentNullException.ThrowIfNull(messages, parameter);
        PromptMessage[] own = [.. messages];
        for (int i = 0; i < own.Length; i++)
        {
            string? fault = own[i] is null ? " is null" : own[i].Fault();
            if (fault is not null)
                throw new ArgumentException($"{parameter}[{i}]{fault}", parameter);
            own[i] = own[i] with { ToolCalls = [.. own[i].ToolCalls] };
        }

        return own;
    }

    // Completes the name of the message; null where there is nothing to say against it.
    private string? Fault()
    {
        if (string.IsNullOrEmpty(Role))
            return Role is null ? ".Role is null" : ".Role is empty; it must be one that the chat template knows";
        if (Content is null)
            return ".Content is null; a message without text has an empty one";
        if (ToolCalls is null)
            return ".ToolCalls is null; leave it empty for none";
        foreach (PromptToolCall call in ToolCalls)
        {
            if (call?.Name is null || call.Arguments is null)
                return call is null ? ".ToolCalls holds null" : $".ToolCalls holds a call whose {(call.Name is null ? nameof(call.Name) : nameof(call.Arguments))} is null";
        }

        return null;
    }

    /// <summary>The message as a template sees it.</summary>
    internal object ToJinja() => JinjaJson.ToValue(ToJson());

    internal JsonObject ToJson()
    {
        JsonObject message = new() { ["role"] = Role, ["content"] = Content };
        if (ReasoningContent is not null) message["reasoning_content"] = ReasoningContent;
        if (ToolCalls.Count > 0) message["tool_calls"] = new JsonArray([.. ToolCalls.Select(call => call.ToJson())]);
        return message;
    }
}
