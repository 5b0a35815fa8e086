using System.CommandLine;

namespace QwenIlgpu.Cli.Bench;

/// <summary>Options of `qwen bench --tune`.</summary>
internal sealed class TuneArguments
{
    private const string DefaultFolder = "tiles";

    public Option<bool> Tune { get; } = new("--tune")
    {
        Description = "Time the tiles of prefill matmuls on a GPU, with --synthetic, and write the table that chooses among them; with --plan predict all tables.",
    };

    public Option<string> Output { get; } = new("--output")
    {
        Description = "Of --tune, the folder of the tables, such as kernels/MatMul/Tuning/tiles; what is there is added to. [default: " + DefaultFolder + "]",
        HelpName = "DIR",
        Arity = ArgumentArity.ExactlyOne,
        DefaultValueFactory = _ => DefaultFolder,
    };

    public void AddTo(Command command)
    {
        command.Options.Add(Tune);
        command.Options.Add(Output);
    }

    /// <summary>Whether to tune; throws where options are given that do not go together.</summary>
    public bool Check(ParseResult parse, SyntheticArguments synthetic)
    {
        bool tunes = parse.GetValue(Tune);
        if (!tunes && SyntheticArguments.IsGiven(parse, Output))
            throw new UsageException("--output goes with --tune only");
        if (!tunes)
            return false;
        bool plans = parse.GetValue(synthetic.Plan);
        if (!plans && parse.GetValue(synthetic.Shape) is null)
            throw new UsageException("--tune needs --synthetic for what to measure, or --plan to predict");
        foreach (Option option in plans ? (Option[])[synthetic.Shape, synthetic.Layers, synthetic.Vocabulary, synthetic.Prefill] : [])
        {
            if (SyntheticArguments.IsGiven(parse, option))
                throw new UsageException($"{option.Name} does not go with --tune --plan, which predicts every shape");
        }

        foreach (Option option in (Option[])[synthetic.Contexts, synthetic.SkipPrefill, synthetic.Bandwidth])
        {
            if (SyntheticArguments.IsGiven(parse, option))
                throw new UsageException($"{option.Name} does not go with --tune");
        }

        return true;
    }
}
