using System.CommandLine;

namespace QwenIlgpu.Cli;

/// <summary>Options of `qwen bench --synthetic`: a published shape with random weights, made on the device.</summary>
internal sealed class SyntheticArguments
{
    private const int MaxContexts = 16;

    public Option<string?> Shape { get; } = ChoiceOption.Of<string?>(
        "--synthetic", "Measure a published shape with seeded random INT4 weights made on the device, no checkpoint needed.",
        [.. SyntheticShape.Names.Select(n => (n, (string?)n))]);

    public Option<int?> Layers { get; } = NumberOption.Optional<int>(
        "--layers", "Of a synthetic model, only its first layers. Without a GPU: 4, and at most 8192 rows of the vocabulary.",
        v => v is >= 4 and <= 64 && v % 4 == 0, "a multiple of 4 up to 64");

    public Option<int[]?> Contexts { get; } = new("--contexts")
    {
        Description = "Of a synthetic model, prompt lengths to measure. [default: 1024,8192,32768 on a GPU, else 16; --plan: 1024]",
        HelpName = "N,N,…",
        Arity = ArgumentArity.ExactlyOne,
        CustomParser = result =>
        {
            string text = result.Tokens[^1].Value;
            int?[] lengths = [.. text.Split(',').Select(NumberOption.Parse<int>)];
            if (lengths.Length <= MaxContexts && lengths.All(l => l is >= 1))
                return [.. lengths.Select(l => l!.Value)];
            result.AddError($"--contexts is '{text}'; it must be 1 to {MaxContexts} positive whole numbers with commas between");
            return null;
        },
    };

    public Option<bool> SkipPrefill { get; } = new("--skip-prefill")
    {
        Description = "Of a synthetic model, decode at each length without computing the prompt: the cache is as it was, zeros at first.",
    };

    public Option<double?> Bandwidth { get; } = NumberOption.Optional<double>(
        "--bandwidth", "Memory bandwidth in GB/s that steps are predicted with. [default: measured; --plan: 3082, an H100's]",
        v => v > 0, "above 0");

    public Option<bool> Plan { get; } = new("--plan")
    {
        Description = "Of a synthetic model, list the nodes of one decoded token on a GPU with their predicted times; runs nothing.",
    };

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[Shape, Layers, Contexts, SkipPrefill, Bandwidth, Plan])
            command.Options.Add(option);
    }

    /// <summary>Throws where options are given that do not go together.</summary>
    public void Check(ParseResult parse, params ReadOnlySpan<Option> notWithSynthetic)
    {
        bool synthetic = parse.GetValue(Shape) is not null;
        foreach (Option option in (Option[])[Layers, Contexts, SkipPrefill, Plan])
        {
            if (!synthetic && IsGiven(parse, option))
                throw new UsageException($"{option.Name} goes with --synthetic only");
        }

        foreach (Option option in notWithSynthetic)
        {
            if (synthetic && IsGiven(parse, option))
                throw new UsageException($"{option.Name} does not go with --synthetic");
        }
    }

    /// <summary>The lengths that are asked for, or null.</summary>
    public int[]? ContextsOf(ParseResult parse) => IsGiven(parse, Contexts) ? parse.GetValue(Contexts) : null;

    public static bool IsGiven(ParseResult parse, Option option) => parse.GetResult(option) is { Implicit: false };
}
