using System.CommandLine;

namespace QwenIlgpu.Cli.Bench;

/// <summary>Options of `qwen bench --synthetic`: a published shape with random weights, made on the device.</summary>
internal sealed class SyntheticArguments
{
    private const int MaxStepTokens = 8192;

    public Option<string?> Shape { get; } = ChoiceOption.Of<string?>(
        "--synthetic", "Measure a published shape with seeded random INT4 weights made on the device, no checkpoint needed.",
        [.. SyntheticShape.Names.Select(n => (n, (string?)n))]);

    public Option<int?> Layers { get; } = NumberOption.Optional<int>(
        "--layers", "Of a synthetic model, only its first layers.", NumberRange.Multiples(4, 4, 64),
        "all; 4 where a CPU's memory cannot hold them");

    public Option<int?> Vocabulary { get; } = NumberOption.Optional<int>(
        "--vocabulary", "Of a synthetic model, only the first rows of the vocabulary.", NumberRange.Whole(256),
        "all; 8192 where a CPU's memory cannot hold them");

    public Option<int[]?> Contexts { get; } = NumberOption.List(
        "--contexts", "Of a synthetic model, prompt lengths to measure.", int.MaxValue, "1024,8192,32768 on a GPU, else 64; --plan: 1024");

    public Option<bool> SkipPrefill { get; } = new("--skip-prefill")
    {
        Description = "Of a synthetic model, decode at each length without computing the prompt: the cache is as it was, zeros at first.",
    };

    public Option<double?> Bandwidth { get; } = NumberOption.Optional<double>(
        "--bandwidth", "Memory bandwidth in GB/s that steps are predicted with.", new NumberRange<double>(v => v > 0, "above 0", "above 0"),
        "measured; --plan: 3082, an H100's");

    public Option<bool> Plan { get; } = new("--plan")
    {
        Description = "Of a synthetic model, list the nodes of one decoded token on a GPU with their predicted times; runs nothing.",
    };

    public Option<int[]?> Prefill { get; } = NumberOption.List(
        "--prefill", "Steps of so many tokens: with --plan their matmuls instead of a decoded token's, with --tune those to measure.", MaxStepTokens);

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[Shape, Layers, Vocabulary, Contexts, SkipPrefill, Bandwidth, Plan, Prefill])
            command.Options.Add(option);
    }

    /// <summary>Throws where options are given that do not go together.</summary>
    public void Check(ParseResult parse, bool tunes, params ReadOnlySpan<Option> notWithSynthetic)
    {
        bool synthetic = parse.GetValue(Shape) is not null;
        foreach (Option option in (Option[])[Layers, Vocabulary, Contexts, SkipPrefill, Plan, Prefill])
        {
            if (!synthetic && IsGiven(parse, option))
                throw new UsageException($"{option.Name} goes with --synthetic only");
        }

        if (IsGiven(parse, Prefill) && !parse.GetValue(Plan) && !tunes)
            throw new UsageException("--prefill goes with --plan or --tune");
        if (IsGiven(parse, Prefill) && IsGiven(parse, Contexts))
            throw new UsageException("--contexts does not go with --prefill");
        foreach (Option option in notWithSynthetic)
        {
            if (synthetic && IsGiven(parse, option))
                throw new UsageException($"{option.Name} does not go with --synthetic");
        }
    }

    /// <summary>The lengths that are asked for, or null.</summary>
    public int[]? ContextsOf(ParseResult parse) => IsGiven(parse, Contexts) ? parse.GetValue(Contexts) : null;

    /// <summary>The steps that are asked for, or null.</summary>
    public int[]? PrefillOf(ParseResult parse) => IsGiven(parse, Prefill) ? parse.GetValue(Prefill) : null;

    public static bool IsGiven(ParseResult parse, Option option) => parse.GetResult(option) is { Implicit: false };
}
