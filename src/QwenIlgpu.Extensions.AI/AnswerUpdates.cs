using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;

namespace QwenIlgpu.Extensions.AI;

/// <summary>
/// One answer as updates of Microsoft.Extensions.AI: thoughts and text as they come, each call of a tool by itself behind them, and a last one
/// with the finish reason and the only usage.
/// </summary>
internal sealed class AnswerUpdates(ChatRequest request, string modelId)
{
    private readonly string id = $"chatcmpl-{Guid.NewGuid():N}";
    private readonly DateTimeOffset createdAt = DateTimeOffset.UtcNow;

    /// <summary>What a piece of the generation tells; nothing where no text has become final.</summary>
    public IEnumerable<ChatResponseUpdate> Of(GenerationUpdate update)
    {
        AIContent? text = update.Text.Length == 0 ? null
            : update.Kind == TextKind.Answer ? new TextContent(update.Text)
            : request.GivesReasoning ? new TextReasoningContent(update.Text) : null;
        if (text is not null || update.LogProbs is { Count: > 0 })
        {
            ChatResponseUpdate told = New(text is null ? [] : [text]);
            if (update.LogProbs is { Count: > 0 } logProbs)
                told.AdditionalProperties = new AdditionalPropertiesDictionary { ["logprobs"] = LogProbsOf(logProbs) };
            yield return told;
        }

        if (update.FinishReason is not { } reason)
            yield break;
        foreach (PromptToolCall call in request.AllowsSeveralCalls ? update.ToolCalls : update.ToolCalls.Take(1))
            yield return New([new FunctionCallContent(call.Id ?? "", call.Name, ArgumentsOf(call))]);
        ChatResponseUpdate last = New(update.Usage is { } usage ? [new UsageContent(DetailsOf(usage))] : []);
        last.FinishReason = reason switch
        {
            FinishReason.ToolCalls => ChatFinishReason.ToolCalls,
            FinishReason.Length => ChatFinishReason.Length,
            _ => ChatFinishReason.Stop,
        };
        yield return last;
    }

    private ChatResponseUpdate New(IList<AIContent> contents) => new(ChatRole.Assistant, contents)
    {
        ResponseId = id,
        MessageId = id,
        ModelId = modelId,
        CreatedAt = createdAt,
    };

    private static Dictionary<string, object?> ArgumentsOf(PromptToolCall call) =>
        call.Arguments.ToDictionary(a => a.Key, a => a.Value is null ? null : (object?)ToElement(a.Value), StringComparer.Ordinal);

    private static UsageDetails DetailsOf(GenerationUsage usage) => new()
    {
        InputTokenCount = usage.PromptTokens,
        OutputTokenCount = usage.CompletionTokens,
        TotalTokenCount = (long)usage.PromptTokens + usage.CompletionTokens,
        CachedInputTokenCount = usage.CachedTokens,
        ReasoningTokenCount = usage.ReasoningTokens,
    };

    // JSON, so that updates can be kept wherever JSON can.
    private static JsonElement LogProbsOf(IReadOnlyList<TokenLogProbs> tokens) => ToElement(new JsonArray([.. tokens.Select(token => (JsonNode)new JsonObject
    {
        ["token_id"] = token.TokenId,
        ["logprob"] = token.LogProbability,
        ["top_logprobs"] = new JsonArray(
            [.. token.Top.Select(top => (JsonNode)new JsonObject { ["token_id"] = top.TokenId, ["logprob"] = top.LogProbability })]),
    })]));

    private static JsonElement ToElement(JsonNode node) => JsonElement.Parse(node.ToJsonString());
}
