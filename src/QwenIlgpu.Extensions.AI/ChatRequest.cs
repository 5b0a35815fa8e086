using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;

namespace QwenIlgpu.Extensions.AI;

/// <summary>What a request's <see cref="ChatOptions"/> ask of the engine. Whatever cannot be honoured is refused by its name.</summary>
/// <param name="Template">Tools and thinking.</param>
/// <param name="Generation">Limits and sampling.</param>
/// <param name="GivesReasoning">Whether thoughts are told.</param>
/// <param name="AllowsSeveralCalls">Whether an answer may hold more calls than one.</param>
internal sealed record ChatRequest(ChatTemplateOptions Template, GenerationOptions Generation, bool GivesReasoning, bool AllowsSeveralCalls)
{
    private const string WithoutConstraints = "it takes decoding that is constrained by a grammar, which is not there yet";

    /// <summary>Reads a request's options.</summary>
    /// <param name="options">As the caller gives them; null takes the defaults.</param>
    /// <param name="client">The client that its <see cref="ChatOptions.RawRepresentationFactory"/> is told.</param>
    /// <param name="modelId">The model there is.</param>
    /// <exception cref="NotSupportedException">An option cannot be honoured.</exception>
    /// <exception cref="ArgumentException">An option names another model or has a value of another type.</exception>
    public static ChatRequest Read(ChatOptions? options, IChatClient client, string modelId)
    {
        options ??= new ChatOptions();
        RefuseWhatIsNotThere(options, modelId);
        var more = new MoreOptions(options.AdditionalProperties);
        GenerationOptions raw = RawOf(options, client);
        SamplingOptions sampling = raw.Sampling ?? new SamplingOptions();
        sampling = sampling with
        {
            Temperature = options.Temperature ?? sampling.Temperature,
            TopP = options.TopP ?? sampling.TopP,
            TopK = options.TopK ?? sampling.TopK,
            FrequencyPenalty = options.FrequencyPenalty ?? sampling.FrequencyPenalty,
            PresencePenalty = options.PresencePenalty ?? sampling.PresencePenalty,
            Seed = options.Seed is { } seed ? unchecked((ulong)seed) : sampling.Seed,
            MinP = more.Number("min_p") ?? sampling.MinP,
            RepetitionPenalty = more.Number("repetition_penalty") ?? sampling.RepetitionPenalty,
            TopLogProbs = more.Whole("top_logprobs") ?? sampling.TopLogProbs,
            LogitBias = more.Bias("logit_bias") ?? sampling.LogitBias,
        };
        var template = new ChatTemplateOptions
        {
            Tools = ToolsOf(options),
            EnableThinking = more.Truth("enable_thinking") ?? (options.Reasoning?.Effort is { } effort ? effort != ReasoningEffort.None : null),
            PreserveThinking = more.Truth("preserve_thinking"),
            ReasoningEffort = more.Text("reasoning_effort") ?? EffortOf(options.Reasoning?.Effort),
            Variables = more.Variables("chat_template_kwargs"),
        };
        more.RefuseTheRest();
        return new ChatRequest(
            template,
            raw with
            {
                MaxTokens = options.MaxOutputTokens ?? raw.MaxTokens,
                StopStrings = options.StopSequences is { } stops ? [.. stops] : raw.StopStrings,
                Sampling = sampling == new SamplingOptions() ? raw.Sampling : sampling,
            },
            options.Reasoning?.Output != ReasoningOutput.None, options.AllowMultipleToolCalls ?? true);
    }

    private static void RefuseWhatIsNotThere(ChatOptions options, string modelId)
    {
        if (options.ModelId is { } asked && asked != modelId)
            throw new ArgumentException($"ModelId is '{asked}'; this client has '{modelId}'", nameof(options));
        Refuse(options.ConversationId is not null, nameof(options.ConversationId), "conversations are not kept here: send all messages, the prefix cache saves their prefill");
        Refuse(options.AllowBackgroundResponses == true, nameof(options.AllowBackgroundResponses), "answers are given while they are asked for");
        Refuse(options.ContinuationToken is not null, nameof(options.ContinuationToken), "no answer is given in the background");
        Refuse(options.ToolMode is RequiredChatToolMode, nameof(options.ToolMode), $"a call that must come: {WithoutConstraints}");
        Refuse(options.ResponseFormat is ChatResponseFormatJson, nameof(options.ResponseFormat), $"JSON: {WithoutConstraints}");
    }

    private static void Refuse(bool isAsked, string option, string reason)
    {
        if (isAsked)
            throw new NotSupportedException($"{option} is not supported: {reason}");
    }

    private static GenerationOptions RawOf(ChatOptions options, IChatClient client) => options.RawRepresentationFactory?.Invoke(client) switch
    {
        null => new GenerationOptions(),
        GenerationOptions own => own,
        { } other => throw new ArgumentException(
            $"RawRepresentationFactory gives a {other.GetType()}; this client takes {typeof(GenerationOptions)}", nameof(options)),
    };

    private static JsonArray? ToolsOf(ChatOptions options)
    {
        if (options.Tools is not { Count: > 0 } tools || options.ToolMode is NoneChatToolMode)
            return null;
        var array = new JsonArray();
        foreach (AITool tool in tools)
        {
            if (tool is not AIFunctionDeclaration function)
                throw new NotSupportedException($"Tools holds {tool.GetType().Name} '{tool.Name}'; the model runs here, with functions alone");
            array.Add((JsonNode)new JsonObject
            {
                ["type"] = "function",
                ["function"] = new JsonObject
                {
                    ["name"] = function.Name,
                    ["description"] = function.Description,
                    ["parameters"] = JsonNode.Parse(function.JsonSchema.GetRawText()),
                },
            });
        }

        return array;
    }

    // In the words of the templates that know efforts.
    private static string? EffortOf(ReasoningEffort? effort) => effort switch
    {
        ReasoningEffort.Low => "low",
        ReasoningEffort.Medium => "medium",
        ReasoningEffort.High or ReasoningEffort.ExtraHigh => "xhigh",
        _ => null,
    };
}
