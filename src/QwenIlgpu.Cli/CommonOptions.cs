using System.CommandLine;

namespace QwenIlgpu.Cli;

/// <summary>Loads a checkpoint directory: <see cref="QwenModel.LoadAsync"/>, or what stands for it.</summary>
internal delegate Task<QwenModel> ModelLoader(
    string directory, ModelOptions options, IProgress<LoadProgress>? progress, CancellationToken cancellation);

/// <summary>What is asked for in the matter of colours.</summary>
internal enum ColorUse
{
    Auto,
    Always,
    Never,
}

/// <summary>What every command is made with: the options that all take, and where models come from.</summary>
internal sealed class CommonOptions
{
    /// <summary>Loads the model of a command that runs one.</summary>
    public ModelLoader LoadModel { get; }

    /// <summary>Where --model finds a repository by its name.</summary>
    public HuggingFaceCache HuggingFace { get; }

    public Option<string?> Model { get; } = new("--model", "-m")
    {
        Description = "Checkpoint directory in Hugging Face's layout: config.json, tokenizer.json, safetensors; or ORG/NAME[@REVISION], which "
            + "`hf download ORG/NAME` has put into the Hugging Face cache. [default: a tiny built-in test model]",
        HelpName = "DIR|ORG/NAME",
        Arity = ArgumentArity.ExactlyOne,
        Recursive = true,
    };

    public Option<DeviceSelection> Device { get; } = new("--device", "-d")
    {
        Description =
            "Where the model runs. auto: the first CUDA device that can be used; without one the CPU, if memory holds the model. " +
            "cuda is cuda:0. [default: auto]",
        HelpName = "auto|cpu|cuda|cuda:N",
        Arity = ArgumentArity.ExactlyOne,
        Recursive = true,
        CustomParser = result =>
        {
            string text = result.Tokens[^1].Value;
            if (!DeviceSelection.TryParse(text, out DeviceSelection selection))
                result.AddError($"--device is '{text}'; it must be auto, cpu, cuda, or cuda:N with N from 0");
            return selection;
        },
    };

    public Option<int> Threads { get; } = NumberOption.WithDefault(
        "--threads", "On the CPU, how many threads; other devices ignore it. 0: one for each physical core.",
        0, NumberRange.Whole(0, ComputeDevice.MaxCpuThreads));

    public Option<bool> Json { get; } = new("--json", "-j")
    {
        Description = "Print one JSON value on standard output, everything else on standard error.",
        Recursive = true,
    };

    public Option<ColorUse> Color { get; } = ChoiceOption.Of(
        "--color",
        "Whether colours are used on standard error. auto: on a terminal, unless NO_COLOR is set or TERM is dumb. [default: auto]",
        ("auto", ColorUse.Auto), ("always", ColorUse.Always), ("never", ColorUse.Never));

    public Option<bool> Verbose { get; } = new("--verbose")
    {
        Description = "Print log messages, and the stack trace of an error.",
        Recursive = true,
    };

    public CommonOptions(ModelLoader loadModel, HuggingFaceCache huggingFace)
    {
        (LoadModel, HuggingFace) = (loadModel, huggingFace);
        Threads.Recursive = true;
        Color.Recursive = true;
        Device.CompletionSources.Add("auto", "cpu", "cuda");
    }

    /// <summary>Whether --json is given, however wrong the rest is.</summary>
    public bool IsJson(ParseResult parse) =>
        parse.GetResult(Json) is { Implicit: false } given && !(given.Tokens is [.., var value] && bool.TryParse(value.Value, out bool wanted) && !wanted);

    public void AddTo(Command root)
    {
        root.Options.Add(Model);
        root.Options.Add(Device);
        root.Options.Add(Threads);
        root.Options.Add(Json);
        root.Options.Add(Color);
        root.Options.Add(Verbose);
    }
}
