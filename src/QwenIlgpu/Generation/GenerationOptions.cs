namespace QwenIlgpu;

/// <summary>What one request asks for.</summary>
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

    internal void Validate()
    {
        if (MaxTokens < 1)
            throw new ArgumentOutOfRangeException(nameof(MaxTokens), MaxTokens, $"MaxTokens is {MaxTokens}; it must be at least 1");
        if (StopStrings.Any(string.IsNullOrEmpty))
            throw new ArgumentException("StopStrings holds an empty string, which would end every answer at once", nameof(StopStrings));
    }
}
