using System.CommandLine;

namespace QwenIlgpu.Cli.Plan;

/// <summary>Options of `qwen info --plan`.</summary>
internal sealed class PlanArguments
{
    private const int MostSequences = 64;

    public Option<bool> Plan { get; } = new("--plan")
    {
        Description = "Work out what loading would take of the device, part by part, and the longest context that fits with each type of cache.",
    };

    public Option<string?> Synthetic { get; } = ChoiceOption.Of<string?>(
        "--synthetic", "With --plan: a published shape instead of a checkpoint, in INT4 unless --quantize none is given.",
        [.. SyntheticShape.Names.Select(n => (n, (string?)n))]);

    public Option<int> Sequences { get; } = NumberOption.WithDefault(
        "--sequences", "With --plan: sequences that each have the whole context at once.", 1, NumberRange.Whole(1, MostSequences));

    public Option<long?> GpuMemory { get; } = SizeOption.Optional(
        "--gpu-memory", "With --plan: a GPU's memory, which need not be here.", "what the device has free");

    public Option<string?> Picture { get; } = new("--plan-picture")
    {
        Description = "With --plan: an SVG file to write, a bar for each part.",
        HelpName = "FILE.svg",
        Arity = ArgumentArity.ExactlyOne,
    };

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[Plan, Synthetic, Sequences, GpuMemory, Picture])
            command.Options.Add(option);
    }

    /// <summary>Throws where an option is given that means something in a plan only.</summary>
    public void Check(ParseResult parse, params ReadOnlySpan<Option> notWithSynthetic)
    {
        foreach (Option option in (Option[])[Synthetic, Sequences, GpuMemory, Picture])
        {
            if (!parse.GetValue(Plan) && IsGiven(parse, option))
                throw new UsageException($"{option.Name} goes with --plan only");
        }

        foreach (Option option in notWithSynthetic)
        {
            if (parse.GetValue(Synthetic) is not null && IsGiven(parse, option))
                throw new UsageException($"{option.Name} does not go with --synthetic");
        }
    }

    public static bool IsGiven(ParseResult parse, Option option) => parse.GetResult(option) is { Implicit: false };
}
