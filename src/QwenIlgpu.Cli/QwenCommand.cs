using System.CommandLine;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using QwenIlgpu.Cli.Commands;

namespace QwenIlgpu.Cli;

/// <summary>The command line as a whole: its commands, and what becomes of errors, interrupts and wrong usage.</summary>
internal static class QwenCommand
{
    /// <summary>Runs a command line and returns the exit code.</summary>
    public static async Task<int> RunAsync(IReadOnlyList<string> args, Terminal terminal)
    {
        var common = new CommonOptions();
        RootCommand root = Create(common, terminal);

        // Without this an argument that begins with @ would be taken for a file of arguments.
        ParseResult parse = root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parse.Action is ParseErrorAction || (parse.Action is not Help && StrayOption(parse) is not null))
            return RefuseUsage(parse, terminal);

        using var interrupted = new CancellationTokenSource();
        using IDisposable listening = terminal.Interrupts.Listen(() => Cancel(interrupted));
        try
        {
            var configuration = new InvocationConfiguration
            {
                Output = terminal.Output,
                Error = terminal.Error,
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,
            };
            return await parse.InvokeAsync(configuration, interrupted.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (interrupted.IsCancellationRequested)
        {
            terminal.Note("interrupted");
            return ExitCode.Interrupted;
        }
#pragma warning disable CA1031 // Whatever a command throws becomes one message.
        catch (Exception e)
#pragma warning restore CA1031
        {
            terminal.Note(ErrorText.Of(e));
            if (parse.GetValue(common.Verbose))
                terminal.Error.WriteLine(e);
            return e is UsageException ? ExitCode.WrongUsage : ExitCode.Failed;
        }
    }

    private static bool Cancel(CancellationTokenSource source)
    {
        if (source.IsCancellationRequested)
            return false;
        source.Cancel();
        return true;
    }

    private static RootCommand Create(CommonOptions common, Terminal terminal)
    {
        var root = new RootCommand("Runs Qwen3.6 language models on ILGPU kernels.") { HelpName = "qwen" };
        common.AddTo(root);
        (Command Command, string Examples)[] commands =
        [
            (GenerateCommand.Create(common, terminal), GenerateCommand.Examples),
            (ChatCommand.Create(common, terminal), ChatCommand.Examples),
            (InfoCommand.Create(common, terminal), InfoCommand.Examples),
            (DoctorCommand.Create(common, terminal), DoctorCommand.Examples),
            (BenchCommand.Create(common, terminal), BenchCommand.Examples),
            (TokenizeCommand.Create(common, terminal), TokenizeCommand.Examples),
            (RenderCommand.Create(common, terminal), RenderCommand.Examples),
            (LogitsCommand.Create(common, terminal), LogitsCommand.Examples),
            (PerplexityCommand.Create(common, terminal), PerplexityCommand.Examples),
        ];
        foreach ((Command command, _) in commands)
            root.Subcommands.Add(command);
        Help.Configure(root, commands.ToDictionary(c => c.Command, c => c.Examples));
        return root;
    }

    private static int RefuseUsage(ParseResult parse, Terminal terminal)
    {
        IEnumerable<string> messages = StrayOption(parse) is { } stray
            ? [$"unknown option {stray}; text that begins with - goes behind --"]
            : parse.Errors.Select(e => e.Message).Distinct();
        foreach (string message in messages)
            terminal.Note(message);
        string command = parse.CommandResult.Command is RootCommand ? "qwen" : $"qwen {parse.CommandResult.Command.Name}";
        terminal.Error.WriteLine($"Run '{command} --help' for usage.");
        return ExitCode.WrongUsage;
    }

    // The parser takes a misspelt option for the value of a positional argument.
    private static string? StrayOption(ParseResult parse)
    {
        if (parse.Tokens.Any(t => t.Type == TokenType.DoubleDash))
            return null;
        return parse.CommandResult.Children.OfType<ArgumentResult>().SelectMany(r => r.Tokens)
            .Select(t => t.Value).FirstOrDefault(v => v.Length > 1 && v[0] == '-');
    }
}
