using System.CommandLine;

namespace QwenIlgpu.Cli;

/// <summary>Options that say how tokens are drawn and when an answer ends.</summary>
internal sealed class SamplingArguments
{
    public static readonly NumberRange<int> MaxTokensRange = NumberRange.Whole(1);
    public static readonly NumberRange<ulong> SeedRange = new(_ => true, "a whole number from 0 to 2^64 - 1", "0 to 2^64 - 1");

    private readonly Option<int> maxTokens = NumberOption.WithDefault(
        "--max-tokens", "Most tokens to generate, thoughts included.", 512, MaxTokensRange);

    private readonly Option<bool> greedy = new("--greedy") { Description = "Always take the most likely token: --temperature 0." };

    private readonly Option<bool> ignoreEos = new("--ignore-eos") { Description = "Go on past the end of the turn, up to --max-tokens." };

    private readonly Option<ulong?> seed = NumberOption.Optional<ulong>(
        "--seed", "Same seed, prompt and options: same tokens.", SeedRange, "drawn, and reported");

    private readonly Option<SamplingPreset?> preset = ChoiceOption.Of<SamplingPreset?>(
        "--preset", "The model card's values for one way of use; any option given beside it wins.",
        [.. SamplingPreset.All.Select(p => (p.Name, (SamplingPreset?)p))]);

    private readonly Option<float?> temperature = Number(
        "--temperature", "Divides the logits; higher is wilder.", SamplingRules.Temperature);

    private readonly Option<int?> topK = Number("--top-k", "Keep this many of the most likely tokens.", SamplingRules.TopK);

    private readonly Option<float?> topP = Number(
        "--top-p", "Keep the most likely tokens up to this share of the probability.", SamplingRules.TopP);

    private readonly Option<float?> minP = Number(
        "--min-p", "Keep tokens at least this fraction as likely as the likeliest.", SamplingRules.MinP);

    private readonly Option<float?> repetitionPenalty = Number(
        "--repetition-penalty", "Make tokens of prompt and answer less likely.", SamplingRules.RepetitionPenalty);

    private readonly Option<float?> frequencyPenalty = Number(
        "--frequency-penalty", "Taken off a token's logit for each time it was generated.", SamplingRules.FrequencyPenalty);

    private readonly Option<float?> presencePenalty = Number(
        "--presence-penalty", "Taken off a token's logit once it was generated.", SamplingRules.PresencePenalty);

    private readonly Option<string[]> stop = new("--stop")
    {
        Description = "End the answer before this text; may be given several times.",
        HelpName = "TEXT",
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = false,
    };

    private readonly Option<KeyValuePair<int, float>[]> logitBias = LogitBiasOption.Create();

    public SamplingArguments()
    {
        maxTokens.Aliases.Add("-n");
        stop.Validators.Add(result =>
        {
            if (result.Tokens.Any(t => t.Value.Length == 0))
                result.AddError("--stop is empty; it would end every answer at once");
        });
    }

    /// <summary>How many log-probabilities are reported with each token; only `generate` has a place for them.</summary>
    public Option<int?> TopLogProbs { get; } = NumberOption.Optional<int>(
        "--top-logprobs", "With --json: log-probabilities of each token and of this many most likely ones.",
        NumberRange.Whole(0, SamplingOptions.MaxTopLogProbs));

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[
            maxTokens, greedy, temperature, topK, topP, minP, repetitionPenalty, frequencyPenalty, presencePenalty, preset, seed, stop,
            ignoreEos, logitBias])
        {
            command.Options.Add(option);
        }
    }

    /// <summary>What the options ask for; throws where they exclude each other.</summary>
    public GenerationOptions Read(ParseResult parse)
    {
        if (parse.GetValue(greedy) && parse.GetResult(temperature) is not null)
            throw new UsageException("--greedy and --temperature exclude each other; --greedy is --temperature 0");
        return new GenerationOptions
        {
            MaxTokens = parse.GetValue(maxTokens),
            IgnoreEos = parse.GetValue(ignoreEos),
            StopStrings = parse.GetValue(stop) ?? [],
            Sampling = new SamplingOptions
            {
                Preset = parse.GetValue(preset),
                Temperature = parse.GetValue(greedy) ? 0 : parse.GetValue(temperature),
                TopK = parse.GetValue(topK),
                TopP = parse.GetValue(topP),
                MinP = parse.GetValue(minP),
                RepetitionPenalty = parse.GetValue(repetitionPenalty),
                FrequencyPenalty = parse.GetValue(frequencyPenalty),
                PresencePenalty = parse.GetValue(presencePenalty),
                Seed = parse.GetValue(seed),
                LogitBias = parse.GetValue(logitBias) is { Length: > 0 } bias ? bias.ToDictionary() : null,
                TopLogProbs = parse.GetResult(TopLogProbs) is null ? null : parse.GetValue(TopLogProbs),
            },
        };
    }

    private static Option<T?> Number<T>(string name, string description, SamplingRules.Rule<T> rule)
        where T : struct, System.Numerics.INumber<T> => NumberOption.Optional(name, description, NumberRange.Of(rule), "the model's");
}
