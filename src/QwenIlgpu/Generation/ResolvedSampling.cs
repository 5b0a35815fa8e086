using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Every sampling value of one request, checked: explicit option, else preset, else generation_config.json, else no effect.
/// </summary>
internal sealed record ResolvedSampling
{
    public required float Temperature { get; init; }

    public required int TopK { get; init; }

    public required float TopP { get; init; }

    public required float MinP { get; init; }

    public required float RepetitionPenalty { get; init; }

    public required float FrequencyPenalty { get; init; }

    public required float PresencePenalty { get; init; }

    public required ulong Seed { get; init; }

    public required IReadOnlyDictionary<int, float>? LogitBias { get; init; }

    public required IReadOnlyCollection<int>? AllowedTokenIds { get; init; }

    /// <summary>Null: no log-probabilities at all.</summary>
    public required int? TopLogProbs { get; init; }

    public bool HasPenalties => RepetitionPenalty != 1 || FrequencyPenalty != 0 || PresencePenalty != 0;

    /// <summary>
    /// Ids that options name must have a token: <paramref name="vocabularySize"/> is one more than the highest that has one.
    /// Throws an <see cref="ArgumentException"/> naming option, value, source and range. <paramref name="drawSeed"/> is called only if no
    /// seed is given. A configuration with do_sample false is greedy unless option or preset gives a temperature; with do_sample true and
    /// no temperature it means temperature 1.
    /// </summary>
    public static ResolvedSampling Resolve(
        SamplingOptions? options, GenerationDefaults? defaults, int vocabularySize, Func<int, bool> hasToken, Func<ulong> drawSeed)
    {
        options ??= new SamplingOptions();
        SamplingOptions? preset = options.Preset?.Options;
        float? configured = defaults?.DoSample switch { false => 0, true => defaults.Temperature ?? 1, null => defaults?.Temperature };

        SamplingRules.CheckTokens(options, vocabularySize, hasToken);
        return new ResolvedSampling
        {
            Temperature = SamplingRules.Temperature.First(options.Temperature, preset?.Temperature, configured),
            TopK = (int)SamplingRules.TopK.First(options.TopK, preset?.TopK, defaults?.TopK),
            TopP = SamplingRules.TopP.First(options.TopP, preset?.TopP, defaults?.TopP),
            MinP = SamplingRules.MinP.First(options.MinP, preset?.MinP, defaults?.MinP),
            RepetitionPenalty =
                SamplingRules.RepetitionPenalty.First(options.RepetitionPenalty, preset?.RepetitionPenalty, defaults?.RepetitionPenalty),
            FrequencyPenalty =
                SamplingRules.FrequencyPenalty.First(options.FrequencyPenalty, preset?.FrequencyPenalty, defaults?.FrequencyPenalty),
            PresencePenalty =
                SamplingRules.PresencePenalty.First(options.PresencePenalty, preset?.PresencePenalty, defaults?.PresencePenalty),
            Seed = options.Seed ?? drawSeed(),
            LogitBias = options.LogitBias is { Count: > 0 } ? options.LogitBias : null,
            AllowedTokenIds = options.AllowedTokenIds,
            TopLogProbs = options.TopLogProbs,
        };
    }

    /// <summary>As it lies in the slot of a sequence; bias and mask go there by <see cref="SlotAdmission"/>.</summary>
    public SlotParameters ToSlotParameters() => new()
    {
        Temperature = Temperature,
        TopK = TopK,
        TopP = TopP,
        MinP = MinP,
        RepetitionPenalty = RepetitionPenalty,
        FrequencyPenalty = FrequencyPenalty,
        PresencePenalty = PresencePenalty,
        SeedLow = (uint)Seed,
        SeedHigh = (uint)(Seed >> 32),
        Flags = (LogitBias is null ? 0 : SlotParameters.HasBias)
            | (AllowedTokenIds is null ? 0 : SlotParameters.HasMask)
            | (HasPenalties ? SlotParameters.HasPenalties : 0)
            | (TopLogProbs is null ? 0 : SlotParameters.HasLogProbs),
        TopLogProbs = TopLogProbs ?? 0,
    };
}
