using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;

namespace QwenIlgpu.Extensions.AI;

/// <summary>
/// A conversation of Microsoft.Extensions.AI as the chat template takes it. Results of tools become a message each, in the order of their calls;
/// instructions and what the system or developer says at the beginning become the first message; thoughts go along, for the template to decide.
/// </summary>
internal static class ConversationReader
{
    private const string Paragraph = "\n\n";

    // Blanks would be tokens.
    private static readonly JsonSerializerOptions Compact = new(AIJsonUtilities.DefaultOptions) { WriteIndented = false };

    /// <summary>The messages of a request.</summary>
    /// <exception cref="ArgumentException">A message is null or has no role.</exception>
    /// <exception cref="NotSupportedException">A message holds what the model does not take; the message names it and its place.</exception>
    public static List<PromptMessage> Read(IEnumerable<ChatMessage> messages, string? instructions)
    {
        ArgumentNullException.ThrowIfNull(messages);
        ChatMessage[] all = [.. messages];
        var read = new List<PromptMessage>();
        var beginning = new StringBuilder(instructions);
        int first = 0;
        for (; first < all.Length && all[first] is { } message && IsSystem(message); first++)
            Join(beginning, TextOf(message, first));
        if (beginning.Length > 0)
            read.Add(PromptMessage.System(beginning.ToString()));
        string[] called = [];
        for (int i = first; i < all.Length; i++)
        {
            ChatMessage message = all[i] ?? throw new ArgumentException($"messages[{i}] is null", nameof(messages));
            FunctionResultContent[] results = [.. message.Contents.OfType<FunctionResultContent>()];
            read.AddRange(results.OrderBy(r => OrderOf(r.CallId, called)).Select(r => PromptMessage.Tool(ResultOf(r, i))));
            string text = TextOf(message, i);
            if (results.Length > 0 && text.Length == 0)
                continue;
            PromptMessage own = new(RoleOf(message), text);
            if (message.Role == ChatRole.Assistant)
            {
                FunctionCallContent[] calls = [.. message.Contents.OfType<FunctionCallContent>()];
                called = [.. calls.Select(c => c.CallId)];
                own = own with { ReasoningContent = ReasoningOf(message), ToolCalls = [.. calls.Select(CallOf)] };
            }

            read.Add(own);
        }

        return read;
    }

    private static bool IsSystem(ChatMessage message) => message.Role == ChatRole.System || message.Role.Value == "developer";

    // Templates know no developer: what he says further on stands where the system would.
    private static string RoleOf(ChatMessage message) => IsSystem(message) ? "system" : message.Role.Value;

    private static int OrderOf(string callId, string[] called) => Array.IndexOf(called, callId) is var at and >= 0 ? at : called.Length;

    private static void Join(StringBuilder text, string more)
    {
        if (text.Length > 0 && more.Length > 0)
            text.Append(Paragraph);
        text.Append(more);
    }

    private static string TextOf(ChatMessage message, int index)
    {
        var text = new StringBuilder();
        for (int i = 0; i < message.Contents.Count; i++)
        {
            switch (message.Contents[i])
            {
                case TextReasoningContent or FunctionCallContent when message.Role == ChatRole.Assistant:
                case FunctionResultContent or UsageContent:
                    break;
                case TextContent content:
                    text.Append(content.Text);
                    break;
                case { } other:
                    throw new NotSupportedException(
                        $"messages[{index}].Contents[{i}] of the {message.Role} is a {other.GetType().Name}{MediaTypeOf(other)}; this model takes text, and calls of tools with their results");
                case null:
                    throw new ArgumentException($"messages[{index}].Contents[{i}] is null");
            }
        }

        return text.ToString();
    }

    private static string MediaTypeOf(AIContent content) => content switch
    {
        DataContent data => $" ({data.MediaType})",
        UriContent uri => $" ({uri.MediaType})",
        _ => "",
    };

    private static string? ReasoningOf(ChatMessage message)
    {
        string text = string.Concat(message.Contents.OfType<TextReasoningContent>().Select(c => c.Text));
        return text.Length > 0 ? text : null;
    }

    private static PromptToolCall CallOf(FunctionCallContent call)
    {
        JsonNode? arguments = JsonSerializer.SerializeToNode(call.Arguments, AIJsonUtilities.DefaultOptions.GetTypeInfo(typeof(IDictionary<string, object?>)));
        return new PromptToolCall(call.Name, arguments as JsonObject ?? []) { Id = call.CallId };
    }

    // A text as it is, anything else as JSON; nothing where there is nothing.
    private static string ResultOf(FunctionResultContent result, int index) => result.Result switch
    {
        null => result.Exception is { } e ? e.Message : "",
        string text => text,
        JsonElement { ValueKind: JsonValueKind.String } text => text.GetString()!,
        TextContent text => text.Text,
        IEnumerable<AIContent> contents => string.Concat(contents.Select(c => c is TextContent text
            ? text.Text
            : throw new NotSupportedException($"messages[{index}]: the result of call {result.CallId} holds a {c.GetType().Name}{MediaTypeOf(c)}; this model takes text"))),
        AIContent other => throw new NotSupportedException(
            $"messages[{index}]: the result of call {result.CallId} is a {other.GetType().Name}{MediaTypeOf(other)}; this model takes text"),
        { } value => JsonSerializer.Serialize(value, Compact.GetTypeInfo(value.GetType())),
    };
}
