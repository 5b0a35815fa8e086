namespace QwenIlgpu;

/// <summary>What a checkpoint's <c>generation_config.json</c> says about sampling; null where it says nothing.</summary>
internal sealed record GenerationDefaults(
    bool? DoSample = null,
    float? Temperature = null,
    int? TopK = null,
    float? TopP = null,
    float? MinP = null,
    float? RepetitionPenalty = null,
    float? FrequencyPenalty = null,
    float? PresencePenalty = null)
{
    public static GenerationDefaults? From(GenerationConfig? config) => config is null ? null : new(
        config.DoSample, (float?)config.Temperature, config.TopK, (float?)config.TopP, (float?)config.MinP,
        (float?)config.RepetitionPenalty, (float?)config.FrequencyPenalty, (float?)config.PresencePenalty);
}
