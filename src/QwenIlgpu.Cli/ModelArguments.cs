using System.CommandLine;

namespace QwenIlgpu.Cli;

/// <summary>
/// Options of the commands that run a model: how its weights are loaded and how much state it gets. A command for which a context is
/// something else than the longest conversation brings its own option.
/// </summary>
internal sealed class ModelArguments(KvType defaultKvType, Option<int>? context = null)
{
    /// <summary>Whether the command has the option of a context; without it whatever it is given sets the length.</summary>
    public bool TakesContext { get; init; } = true;

    public Option<WeightQuantization> Quantize { get; } = QuantizeOption();

    public Option<HeadQuantization> QuantizeHead { get; } = QuantizeHeadOption();

    public Option<KvType?> Pages { get; } = KvTypeOption(defaultKvType);

    public Option<DeltaStateType?> States { get; } = StateTypeOption();

    public Option<int> Context { get; } = context ?? NumberOption.WithDefault(
        "--context", "Longest sequence in tokens, prompt and answer together. 0: the model's own limit, at most 32768.",
        0, NumberRange.Whole(0));

    public Option<int> PrefillChunk { get; } = NumberOption.WithDefault(
        "--prefill-chunk", "Prompt tokens of one step. 0: as many as memory allows, at most 2048 on a GPU, else 512.",
        0, NumberRange.Multiples(64, 0, 8192));

    public Option<PrefixCacheMode> PrefixCache { get; } = ChoiceOption.Of(
        "--prefix-cache", "Begin a prompt where an earlier one was: from what prefill wrote, which changes no bit; from answers too; or never. [default: exact]",
        ("exact", PrefixCacheMode.Exact), ("reuse", PrefixCacheMode.Reuse), ("off", PrefixCacheMode.Off));

    public Option<RopeScaling?> RopeScaling { get; } = RopeScalingOption();

    public Option<string?> ChatTemplate { get; } = new("--chat-template")
    {
        Description = "Render messages with this template instead of the checkpoint's own: a Jinja file, a name of those that the checkpoint "
            + "brings, or qwen3.6, which is built in.",
        HelpName = "FILE|NAME",
        Arity = ArgumentArity.ExactlyOne,
    };

    /// <summary>The option --quantize.</summary>
    public static Option<WeightQuantization> QuantizeOption() => ChoiceOption.Of(
        "--quantize", "Pack 16- and 32-bit weights of the linear layers on load: round to nearest, groups of 128. [default: none]",
        ("none", WeightQuantization.None), ("int4", WeightQuantization.Int4));

    /// <summary>The option --quantize-head.</summary>
    public static Option<HeadQuantization> QuantizeHeadOption() => ChoiceOption.Of(
        "--quantize-head", "Pack a 16- or 32-bit embedding table and head on load: round to nearest, groups of 128. [default: none]",
        ("none", HeadQuantization.None), ("int8", HeadQuantization.Int8));

    /// <summary>The option --kv-type, null where it is not given.</summary>
    public static Option<KvType?> KvTypeOption(KvType value) => ChoiceOption.Of<KvType?>(
        "--kv-type", $"Element type of the attention cache. [default: {WordOf(value)}]",
        [.. Enum.GetValues<KvType>().Select(type => (WordOf(type), (KvType?)type))]);

    /// <summary>The option --state-type, null where it is not given.</summary>
    public static Option<DeltaStateType?> StateTypeOption() => ChoiceOption.Of<DeltaStateType?>(
        "--state-type", "Element type of the DeltaNet layers' recurrent states. [default: f32]",
        [.. Enum.GetValues<DeltaStateType>().Select(type => (WordOf(type), (DeltaStateType?)type))]);

    /// <summary>The option --rope-scaling, null where it is not given.</summary>
    public static Option<RopeScaling?> RopeScalingOption() => new("--rope-scaling")
    {
        Description = "Stretch the context by YaRN to N times the one that the model was trained for: what its files say, or TOKENS with "
            + ",original=TOKENS behind it. [default: as its files say]",
        HelpName = "yarn,factor=N",
        Arity = ArgumentArity.ExactlyOne,
        CustomParser = result =>
        {
            string text = result.Tokens[^1].Value;
            if (!QwenIlgpu.RopeScaling.TryParse(text, out RopeScaling? scaling))
                result.AddError($"--rope-scaling is '{text}'; it must be {QwenIlgpu.RopeScaling.Rule}");
            return scaling;
        },
    };

    /// <summary>A type as the command line has it.</summary>
    public static string WordOf<T>(T type)
        where T : struct, Enum => type.ToString().ToLowerInvariant();

    /// <summary>The element type of the cache that is asked for, or this command's own.</summary>
    public KvType KvTypeOf(ParseResult parse) => parse.GetValue(Pages) ?? defaultKvType;

    /// <summary>The element type of recurrent states that is asked for, or floats.</summary>
    public DeltaStateType StateTypeOf(ParseResult parse) => parse.GetValue(States) ?? DeltaStateType.F32;

    public void AddTo(Command command)
    {
        command.Options.Add(Quantize);
        command.Options.Add(QuantizeHead);
        command.Options.Add(Pages);
        command.Options.Add(States);
        if (TakesContext)
            command.Options.Add(Context);
        command.Options.Add(RopeScaling);
        command.Options.Add(ChatTemplate);
    }

    /// <summary>Where this user's compiled kernels are kept.</summary>
    public static string? KernelCache => KernelCacheDirectory.Of(Environment.GetEnvironmentVariable("XDG_CACHE_HOME"));

    /// <summary>
    /// Loads the model with a progress bar and makes sure that it can hold the asked context. Of the checkpoint's other parts only
    /// those that the command uses can stop it, and they do so before the weights are read.
    /// </summary>
    public Task<QwenModel> LoadAsync(ParseResult parse, CommonOptions common, Terminal terminal, ModelParts used, CancellationToken cancellation) =>
        LoadAsync(ModelDirectory.Resolve(parse, common, terminal), parse, common, terminal, used, engine: null, cancellation);

    /// <summary>
    /// Loads the model for a generation in an engine of <see cref="CreateEngine"/>: sampling defaults that it would use, and whether there is
    /// memory for both, are checked as well, before the weights are read.
    /// </summary>
    public Task<QwenModel> LoadAsync(
        ParseResult parse, CommonOptions common, Terminal terminal, GenerationOptions generation, bool rendersMessages,
        CancellationToken cancellation, int deviceSnapshots = 4)
    {
        string directory = ModelDirectory.Resolve(parse, common, terminal);
        _ = ResolvedSampling.Resolve(generation.Sampling, GenerationConfig.Load(directory), int.MaxValue, static _ => true, static () => 0);
        ModelParts used = ModelParts.Tokenizer | ModelParts.Generation
            | (generation.IgnoreEos ? ModelParts.None : ModelParts.EndIds) | (rendersMessages ? ModelParts.ChatTemplate : ModelParts.None);
        return LoadAsync(directory, parse, common, terminal, used, EngineOptionsOf(parse, deviceSnapshots), cancellation);
    }

    private async Task<QwenModel> LoadAsync(
        string directory, ParseResult parse, CommonOptions common, Terminal terminal, ModelParts used, EngineOptions? engine,
        CancellationToken cancellation)
    {
        var options = new ModelOptions
        {
            Device = parse.GetValue(common.Device),
            CpuThreads = parse.GetValue(common.Threads),
            Quantization = parse.GetValue(Quantize),
            HeadQuantization = parse.GetValue(QuantizeHead),
            RopeScaling = parse.GetValue(RopeScaling),
            ChatTemplate = TemplateName(parse, directory),
            UsedParts = used,
            RequireRoom = engine is null ? null : unfilled => MemoryPlanner.RequireRoom(unfilled, engine),
            LoggerFactory = new TerminalLoggerFactory(terminal, parse.GetValue(common.Verbose)),
            KernelCacheDirectory = KernelCache,
        };
        QwenModel model = await LoadBar.RunAsync(
            terminal, progress => common.LoadModel(directory, options, progress, cancellation)).ConfigureAwait(false);
        int context = TakesContext ? parse.GetValue(Context) : 0;
        if (context <= model.MaxContextTokens)
            return model;
        await model.DisposeAsync().ConfigureAwait(false);
        throw new UsageException($"--context is {context}; this model was made for at most {model.MaxContextTokens} tokens");
    }

    /// <summary>An engine for one sequence with the asked context and prefix cache.</summary>
    public Engine CreateEngine(ParseResult parse, QwenModel model, int deviceSnapshots = 4) => new(model, EngineOptionsOf(parse, deviceSnapshots));

    /// <summary>What the arguments say of an engine's capacity besides its context; without a prefix cache, which measurements do without.</summary>
    public EngineOptions CapacityOf(ParseResult parse) => new()
    {
        PrefillChunkTokens = parse.GetValue(PrefillChunk),
        KvType = KvTypeOf(parse),
        DeltaStateType = StateTypeOf(parse),
        PrefixCache = PrefixCacheMode.Off,
    };

    private EngineOptions EngineOptionsOf(ParseResult parse, int deviceSnapshots) => CapacityOf(parse) with
    {
        MaxSequences = 1,
        DeviceSnapshots = deviceSnapshots,
        ContextTokens = parse.GetValue(Context),
        PrefixCache = parse.GetValue(PrefixCache),
    };

    /// <summary>The template that --chat-template names, or null.</summary>
    /// <exception cref="UsageException">There is none of that name.</exception>
    public string? TemplateName(ParseResult parse, string directory)
    {
        string? name = parse.GetValue(ChatTemplate);
        return name is not null && ChatTemplateSource.Refusal(directory, name) is { } refusal
            ? throw new UsageException($"--chat-template: {refusal}")
            : name;
    }
}
