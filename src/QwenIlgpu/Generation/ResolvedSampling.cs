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
    /// <paramref name="drawSeed"/> is called only if no seed is given. A configuration with do_sample false is greedy unless option or
    /// preset gives a temperature; with do_sample true and no temperature it means temperature 1. Of a configuration only that is checked
    /// which has an effect: a greedy draw uses none of its cuts, and a bad penalty does not stop it.
    /// </summary>
    /// <exception cref="ArgumentException">An option is out of range; the message names it, its value and the range.</exception>
    /// <exception cref="InvalidDataException">A value of the configuration that is used is out of range; the message names its file too.</exception>
    public static ResolvedSampling Resolve(
        SamplingOptions? options, GenerationConfig? defaults, int vocabularySize, Func<int, bool> hasToken, Func<ulong> drawSeed)
    {
        options ??= new SamplingOptions();
        SamplingOptions? preset = options.Preset?.Options;
        SamplingRules.CheckTokens(options, vocabularySize, hasToken);
        float temperature = SamplingRules.Temperature.First(options.Temperature ?? preset?.Temperature ?? Implied(defaults), null, defaults);
        bool greedy = temperature == 0;
        GenerationConfig? cuts = greedy ? null : defaults;
        return new ResolvedSampling
        {
            Temperature = temperature,
            TopK = SamplingRules.TopK.First(options.TopK, preset?.TopK, cuts),
            TopP = SamplingRules.TopP.First(options.TopP, preset?.TopP, cuts),
            MinP = SamplingRules.MinP.First(options.MinP, preset?.MinP, cuts),
            RepetitionPenalty =
                SamplingRules.RepetitionPenalty.First(options.RepetitionPenalty, preset?.RepetitionPenalty, defaults, greedy),
            FrequencyPenalty = SamplingRules.FrequencyPenalty.First(options.FrequencyPenalty, preset?.FrequencyPenalty, defaults, greedy),
            PresencePenalty = SamplingRules.PresencePenalty.First(options.PresencePenalty, preset?.PresencePenalty, defaults, greedy),
            Seed = options.Seed ?? drawSeed(),
            LogitBias = options.LogitBias is { Count: > 0 } ? options.LogitBias : null,
            AllowedTokenIds = options.AllowedTokenIds,
            TopLogProbs = options.TopLogProbs,
        };
    }

    // The temperature that do_sample decides by itself.
    private static float? Implied(GenerationConfig? defaults) => defaults?.DoSample switch
    {
        false => 0,
        true when defaults.Raw("temperature") is null => 1,
        _ => null,
    };

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
