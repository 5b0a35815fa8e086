namespace QwenIlgpu;

/// <summary>
/// A piece of a generation: the tokens drawn since the last one and the text they complete. The last update has a
/// <see cref="FinishReason"/> and <see cref="Usage"/>.
/// </summary>
/// <example>
/// Thoughts in grey, the answer as it is, the speed at the end:
/// <code>
/// await foreach (GenerationUpdate update in engine.GenerateAsync("Once upon a time"))
/// {
///     Console.Write(update.Kind == TextKind.Reasoning ? $"\e[90m{update.Text}\e[0m" : update.Text);
///     if (update.Usage is { } usage)
///         Console.WriteLine($"\n{usage.CompletionTokens / usage.DecodeTime.TotalSeconds:F1} tokens/s, {update.FinishReason}");
/// }
/// </code>
/// </example>
public sealed record GenerationUpdate
{
    /// <summary>Ids drawn since the last update, end-of-turn included.</summary>
    public required IReadOnlyList<int> TokenIds { get; init; }

    /// <summary>Text that became final; empty while a character, a possible stop string or what may be a call of a tool is incomplete.</summary>
    public required string Text { get; init; }

    /// <summary>Whether <see cref="Text"/> is reasoning or answer.</summary>
    public required TextKind Kind { get; init; }

    /// <summary>Log-probabilities of <see cref="TokenIds"/>, one each, when <see cref="SamplingOptions.TopLogProbs"/> asked for them.</summary>
    public IReadOnlyList<TokenLogProbs>? LogProbs { get; init; }

    /// <summary>
    /// The tools the answer calls, in its order, with arguments of the types that their schemas say; only the last update has them, and only
    /// where <see cref="ChatTemplateOptions.Tools"/> were given. A call that is not whole or not well-formed is text.
    /// </summary>
    public IReadOnlyList<PromptToolCall> ToolCalls { get; init; } = [];

    /// <summary>Why the generation ended; null in all updates but the last.</summary>
    public FinishReason? FinishReason { get; init; }

    /// <summary>Counts and times; null in all updates but the last.</summary>
    public GenerationUsage? Usage { get; init; }
}

/// <summary>Why a generation ended.</summary>
public enum FinishReason
{
    /// <summary>The model ended its turn, or a stop string came up.</summary>
    Stop,

    /// <summary>MaxTokens or the context's end was reached.</summary>
    Length,

    /// <summary>As <see cref="Stop"/>, and the answer calls tools, whose results it waits for.</summary>
    ToolCalls,
}

/// <summary>Log-probability of a drawn token and of the likeliest ones, in the model's own distribution: before bias, penalties and temperature.</summary>
/// <param name="TokenId">The drawn token.</param>
/// <param name="LogProbability">Its natural logarithm of probability.</param>
/// <param name="Top">The likeliest tokens, likeliest first.</param>
public sealed record TokenLogProbs(int TokenId, float LogProbability, IReadOnlyList<TokenLogProb> Top);

/// <summary>A token and its log-probability.</summary>
/// <param name="TokenId">The token.</param>
/// <param name="LogProbability">Its natural logarithm of probability.</param>
public readonly record struct TokenLogProb(int TokenId, float LogProbability);

/// <summary>Counts and times of one generation.</summary>
/// <param name="PromptTokens">Tokens of the prompt.</param>
/// <param name="CachedTokens">Those of them that needed no prefill: they, and what is computed of them, were there from an earlier request.</param>
/// <param name="CompletionTokens">Tokens drawn, reasoning and end-of-turn included.</param>
/// <param name="ReasoningTokens">Those of them that were reasoning.</param>
/// <param name="Seed">The seed of the draws: the one asked for, or the one drawn in its place. Null for greedy.</param>
/// <param name="QueueTime">From the request to its admission, while other requests held what it needs.</param>
/// <param name="TimeToFirstToken">From its admission to the first token.</param>
/// <param name="DecodeTime">From the first token to the last.</param>
public sealed record GenerationUsage(
    int PromptTokens, int CachedTokens, int CompletionTokens, int ReasoningTokens, ulong? Seed, TimeSpan QueueTime, TimeSpan TimeToFirstToken,
    TimeSpan DecodeTime);
