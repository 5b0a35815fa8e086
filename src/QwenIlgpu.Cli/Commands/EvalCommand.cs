using System.CommandLine;

namespace QwenIlgpu.Cli.Commands;

/// <summary>`qwen eval`: what a type of cache, or of weights, does to a model.</summary>
internal static class EvalCommand
{
    public const string Examples =
        """
        qwen eval kld --text wiki.test.raw --save reference.safetensors --kv-type f32
        qwen eval kld --text wiki.test.raw --reference reference.safetensors --kv-type int4
        qwen eval recall --tokens 1000,4000 --kv-type int4
        """;

    /// <summary>The command, and those below it with their examples.</summary>
    public static Command Create(CommonOptions common, Terminal terminal, out (Command Command, string Examples)[] below)
    {
        below =
        [
            (DivergenceCommand.Create(common, terminal), DivergenceCommand.Examples),
            (RecallCommand.Create(common, terminal), RecallCommand.Examples),
        ];
        var command = new Command("eval", "Measure what a type of cache or of weights costs: divergence from a reference, recall over a distance.");
        foreach ((Command part, _) in below)
            command.Subcommands.Add(part);
        return command;
    }
}
