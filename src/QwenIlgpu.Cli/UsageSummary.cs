using System.Globalization;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Cli;

/// <summary>Counts and speed of a generation, as a line and as JSON.</summary>
internal static class UsageSummary
{
    /// <summary>Tokens per second from the first token to the last; NaN for a single token.</summary>
    public static double TokensPerSecond(this GenerationUsage usage) =>
        usage.CompletionTokens < 2 ? double.NaN : (usage.CompletionTokens - 1) / usage.DecodeTime.TotalSeconds;

    public static string ToLine(this GenerationUsage usage, FinishReason? reason) => string.Create(
        CultureInfo.InvariantCulture,
        $"{usage.CompletionTokens} tokens{Thoughts(usage)}, {Speed(usage)}; prompt {usage.PromptTokens} tokens{Cached(usage)}, "
        + $"first token after {usage.TimeToFirstToken.TotalSeconds:F2} s{Seed(usage)}{Cut(reason)}");

    public static JsonObject ToJson(this GenerationUsage usage) => new()
    {
        ["prompt_tokens"] = usage.PromptTokens,
        ["cached_tokens"] = usage.CachedTokens,
        ["completion_tokens"] = usage.CompletionTokens,
        ["reasoning_tokens"] = usage.ReasoningTokens,
        ["total_tokens"] = usage.PromptTokens + usage.CompletionTokens,
        ["seed"] = usage.Seed is { } seed ? JsonValue.Create(seed) : null,
        ["queue_ms"] = JsonOutput.Rounded(usage.QueueTime.TotalMilliseconds, 3),
        ["time_to_first_token_ms"] = JsonOutput.Rounded(usage.TimeToFirstToken.TotalMilliseconds, 3),
        ["decode_ms"] = JsonOutput.Rounded(usage.DecodeTime.TotalMilliseconds, 3),
        ["tokens_per_second"] = JsonOutput.Rounded(usage.TokensPerSecond(), 3),
    };

    private static string Thoughts(GenerationUsage usage) => usage.ReasoningTokens == 0
        ? "" : string.Create(CultureInfo.InvariantCulture, $" ({usage.ReasoningTokens} of them thoughts)");

    private static string Cached(GenerationUsage usage) => usage.CachedTokens == 0
        ? "" : string.Create(CultureInfo.InvariantCulture, $" ({usage.CachedTokens} of them cached)");

    private static string Speed(GenerationUsage usage)
    {
        double speed = usage.TokensPerSecond();
        return double.IsFinite(speed) ? string.Create(CultureInfo.InvariantCulture, $"{speed:F1} tok/s") : "too few for tok/s";
    }

    private static string Seed(GenerationUsage usage) =>
        usage.Seed is { } seed ? string.Create(CultureInfo.InvariantCulture, $"; seed {seed}") : "";

    private static string Cut(FinishReason? reason) => reason == FinishReason.Length ? "; cut off at the most tokens allowed" : "";
}
