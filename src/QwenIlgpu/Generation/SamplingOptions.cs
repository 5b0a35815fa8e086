namespace QwenIlgpu;

/// <summary>
/// How tokens are chosen. What is left unset comes from <see cref="Preset"/>, then from the model's <c>generation_config.json</c>, and
/// otherwise means no effect: temperature 0, which always takes the most likely token.
/// </summary>
/// <example>
/// The model card's values for code, cooler, the same draws each time, with three log-probabilities a token:
/// <code>
/// var sampling = new SamplingOptions { Preset = SamplingPreset.Coding, Temperature = 0.4f, Seed = 1, TopLogProbs = 3 };
/// </code>
/// </example>
public sealed record SamplingOptions
{
    /// <summary>Most tokens that <see cref="TopK"/> may keep.</summary>
    public const int MaxTopK = 1024;

    /// <summary>Most tokens that <see cref="TopLogProbs"/> may ask for.</summary>
    public const int MaxTopLogProbs = 20;

    /// <summary>The model card's values for whatever is unset here.</summary>
    public SamplingPreset? Preset { get; init; }

    /// <summary>
    /// Divides the logits before the softmax; at least 0. 0 is greedy: the most likely token after penalties, the lowest id of equals.
    /// </summary>
    public float? Temperature { get; init; }

    /// <summary>Keeps this many of the most likely tokens, at most 1024. 0 keeps all.</summary>
    public int? TopK { get; init; }

    /// <summary>
    /// Keeps the fewest most likely tokens that hold this share of the probability left by top-k; above 0, at most 1. 1 keeps all.
    /// </summary>
    public float? TopP { get; init; }

    /// <summary>Keeps tokens at least this fraction as likely as the most likely one; 0 to 1. 0 keeps all.</summary>
    public float? MinP { get; init; }

    /// <summary>
    /// Divides positive and multiplies negative logits of tokens in the prompt or the output; above 0. 1 changes nothing.
    /// </summary>
    public float? RepetitionPenalty { get; init; }

    /// <summary>Subtracted from a token's logit once for each time it was generated; −2 to 2. 0 changes nothing.</summary>
    public float? FrequencyPenalty { get; init; }

    /// <summary>Subtracted from a token's logit if it was generated at all; −2 to 2. 0 changes nothing.</summary>
    public float? PresencePenalty { get; init; }

    /// <summary>
    /// Seed of the draws: the same seed, prompt and options give the same tokens. Unset: drawn once per request and reported.
    /// </summary>
    public ulong? Seed { get; init; }

    /// <summary>Added to the logits of these token ids before everything else. Finite, or −∞ to forbid a token.</summary>
    public IReadOnlyDictionary<int, float>? LogitBias { get; init; }

    /// <summary>If set, no other token ids are ever generated, end-of-turn tokens included. At least one.</summary>
    public IReadOnlyCollection<int>? AllowedTokenIds { get; init; }

    /// <summary>
    /// Reports the log-probability of each generated token and of this many most likely tokens, 0 to 20. They are the model's own: of
    /// its logits as they are, before bias, penalties, temperature and cuts. Unset: none are reported.
    /// </summary>
    public int? TopLogProbs { get; init; }

    /// <summary>The same with lists of its own.</summary>
    internal SamplingOptions Copy(string parameter)
    {
        Dictionary<int, float>? bias = LogitBias is null ? null : [];
        foreach ((int id, float value) in LogitBias ?? new Dictionary<int, float>())
        {
            if (!bias!.TryAdd(id, value))
                throw new ArgumentException($"LogitBias names token {id} twice", parameter);
        }

        return this with { LogitBias = bias, AllowedTokenIds = AllowedTokenIds is null ? null : [.. AllowedTokenIds] };
    }
}
