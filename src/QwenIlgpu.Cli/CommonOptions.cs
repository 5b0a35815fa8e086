using System.CommandLine;

namespace QwenIlgpu.Cli;

/// <summary>Options that every command takes.</summary>
internal sealed class CommonOptions
{
    public Option<string?> Model { get; } = new("--model")
    {
        Description = "Checkpoint directory in Hugging Face's layout: config.json, tokenizer.json, safetensors. "
            + "[default: a tiny built-in test model]",
        HelpName = "DIR",
        Arity = ArgumentArity.ExactlyOne,
        Recursive = true,
    };

    public Option<DeviceChoice> Device { get; } = ChoiceOption.Of(
        "--device",
        "Where the model runs. auto: the first CUDA device; without one the CPU, but only for models under 500 MB. [default: auto]",
        ("auto", DeviceChoice.Auto), ("cuda", DeviceChoice.Cuda), ("cpu", DeviceChoice.Cpu));

    public Option<bool> Json { get; } = new("--json")
    {
        Description = "Print one JSON value on standard output, everything else on standard error.",
        Recursive = true,
    };

    public Option<bool> Verbose { get; } = new("--verbose")
    {
        Description = "Print log messages, and the stack trace of an error.",
        Recursive = true,
    };

    public CommonOptions() => Device.Recursive = true;

    public void AddTo(Command root)
    {
        root.Options.Add(Model);
        root.Options.Add(Device);
        root.Options.Add(Json);
        root.Options.Add(Verbose);
    }
}
