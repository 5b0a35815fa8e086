using System.Collections.Immutable;

namespace QwenIlgpu;

/// <summary>A checkpoint's own defaults for generation (<c>generation_config.json</c>); null where the file is silent.</summary>
internal sealed record GenerationConfig
{
    /// <summary>First token of a text.</summary>
    public int? BosTokenId { get; init; }

    /// <summary>Tokens that end an answer; empty where the file is silent.</summary>
    public ImmutableArray<int> EosTokenIds { get; init; } = [];

    /// <summary>Filler of batches.</summary>
    public int? PadTokenId { get; init; }

    /// <summary>True to sample, false for the likeliest token.</summary>
    public bool? DoSample { get; init; }

    /// <summary>Divisor of the logits.</summary>
    public double? Temperature { get; init; }

    /// <summary>Number of likeliest tokens kept; 0 keeps all.</summary>
    public int? TopK { get; init; }

    /// <summary>Probability mass kept.</summary>
    public double? TopP { get; init; }

    /// <summary>Least probability kept, relative to the likeliest token's.</summary>
    public double? MinP { get; init; }

    /// <summary>Factor against tokens of prompt and answer.</summary>
    public double? RepetitionPenalty { get; init; }

    /// <summary>Penalty per occurrence in the answer.</summary>
    public double? FrequencyPenalty { get; init; }

    /// <summary>Penalty for any occurrence in the answer.</summary>
    public double? PresencePenalty { get; init; }

    /// <summary>Longest answer.</summary>
    public int? MaxNewTokens { get; init; }

    /// <summary>Reads and checks a <c>generation_config.json</c>.</summary>
    public static GenerationConfig Load(string file)
    {
        JsonSection json = JsonSection.Load(file);
        return new GenerationConfig
        {
            BosTokenId = json.Int("bos_token_id", 0, int.MaxValue),
            EosTokenIds = json.IntOrInts("eos_token_id", 0, int.MaxValue),
            PadTokenId = json.Int("pad_token_id", 0, int.MaxValue),
            DoSample = json.Bool("do_sample"),
            Temperature = InRange(json, "temperature", 0, 1e6),
            TopK = json.Int("top_k", 0, int.MaxValue),
            TopP = InRange(json, "top_p", 0, 1),
            MinP = InRange(json, "min_p", 0, 1),
            RepetitionPenalty = InRange(json, "repetition_penalty", 1e-6, 1e6),
            FrequencyPenalty = InRange(json, "frequency_penalty", -1e6, 1e6),
            PresencePenalty = InRange(json, "presence_penalty", -1e6, 1e6),
            MaxNewTokens = json.Int("max_new_tokens", 1, int.MaxValue),
        };
    }

    private static double? InRange(JsonSection json, string key, double min, double max)
    {
        double? value = json.Number(key);
        return value is null || (value >= min && value <= max) ? value : throw json.Invalid(key, $"from {min} to {max}");
    }
}
