namespace QwenIlgpu;

/// <summary>What one request asks for.</summary>
/// <example>
/// The likeliest text of at most 200 tokens, up to an empty line:
/// <code>
/// var options = new GenerationOptions
/// {
///     MaxTokens = 200,
///     StopStrings = ["\n\n"],
///     Sampling = new SamplingOptions { Temperature = 0 },
/// };
/// </code>
/// </example>
public sealed record GenerationOptions
{
    /// <summary>Most tokens to generate, reasoning included; the context's end may come first. Default 512.</summary>
    public int MaxTokens { get; init; } = 512;

    /// <summary>How tokens are drawn; null takes the checkpoint's own sampling options, or greedy if it has none.</summary>
    public SamplingOptions? Sampling { get; init; }

    /// <summary>The answer ends before the first of these to appear in it; reasoning is not searched.</summary>
    public IReadOnlyList<string> StopStrings { get; init; } = [];

    /// <summary>Whether generation goes on past the end-of-turn token.</summary>
    public bool IgnoreEos { get; init; }

    /// <summary>The tools that the answer may call; null leaves calls in the text.</summary>
    internal ToolSchemas? Tools { get; init; }

    /// <summary>Told on the engine's thread of each step that is queued with a part of the prompt.</summary>
    internal IProgress<PromptProgress>? PromptProgress { get; init; }

    /// <summary>The same with lists of its own, checked; what the caller does with his later changes nothing.</summary>
    internal GenerationOptions CopyChecked(string parameter)
    {
        if (StopStrings is null)
            throw new ArgumentException("StopStrings is null; leave it empty for none", parameter);
        string[] stopStrings = [.. StopStrings];
        if (MaxTokens < 1)
            throw new ArgumentOutOfRangeException(parameter, $"MaxTokens is {MaxTokens}; it must be at least 1");
        int empty = Array.FindIndex(stopStrings, string.IsNullOrEmpty);
        if (empty >= 0)
        {
            string fault = stopStrings[empty] is null ? "is null" : "is an empty string, which would end every answer at once";
            throw new ArgumentException($"StopStrings[{empty}] {fault}", parameter);
        }

        return this with { StopStrings = stopStrings, Sampling = Sampling?.Copy(parameter) };
    }
}

/// <summary>How far a prompt has come.</summary>
/// <param name="QueuedTokens">Tokens of it that are in steps.</param>
/// <param name="PromptTokens">All of its tokens.</param>
internal readonly record struct PromptProgress(int QueuedTokens, int PromptTokens);
