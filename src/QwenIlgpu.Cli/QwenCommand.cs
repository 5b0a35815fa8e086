using System.CommandLine;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using QwenIlgpu.Cli.Commands;

namespace QwenIlgpu.Cli;

/// <summary>The command line as a whole: its commands, and what becomes of errors, interrupts and wrong usage.</summary>
internal static class QwenCommand
{
    /// <summary>Runs a command line and returns the exit code. A command that fails prints one line on Error, and nothing where its reader has left.</summary>
    public static async Task<int> RunAsync(IReadOnlyList<string> args, Terminal terminal, ModelLoader loadModel, HuggingFaceCache huggingFace)
    {
        ParseResult? parse = null;
        bool verbose = false;
        var common = new CommonOptions(loadModel, huggingFace);
        using var interrupted = new CancellationTokenSource();
        using IDisposable listening = terminal.Interrupts.Listen(() => Cancel(interrupted));
        try
        {
            if (terminal.Refusal is { } refusal)
                throw new IOException(refusal);

            parse = Parse(Create(common, terminal), args);
            RefuseWrongUsage(parse);
            verbose = parse.Errors.Count == 0 && parse.GetValue(common.Verbose);
            if (verbose)
                terminal.ShowNotices();
            var configuration = new InvocationConfiguration
            {
                Output = terminal.Output,
                Error = terminal.Error,
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,
            };
            int code = await parse.InvokeAsync(configuration, interrupted.Token).ConfigureAwait(false);
            terminal.ShowNotices();
            return code;
        }
        catch (OperationCanceledException) when (interrupted.IsCancellationRequested)
        {
            terminal.Fail("interrupted");
            return ExitCode.Interrupted;
        }
        catch (UsageException e)
        {
            terminal.Fail($"{e.Message}; run '{NameOf(parse)} --help'", verbose ? e.ToString() : null);
            return ExitCode.WrongUsage;
        }
#pragma warning disable CA1031 // Whatever a command throws becomes one message.
        catch (Exception e)
#pragma warning restore CA1031
        {
            // Like a filter that SIGPIPE ends: nobody is left who asked for anything.
            if (!DescriptorStream.IsReaderLeft(e))
                terminal.Fail(ErrorText.Of(e), verbose ? e.ToString() : null);
            return ExitCode.Failed;
        }
    }

    private static ParseResult Parse(RootCommand root, IReadOnlyList<string> args)
    {
        try
        {
            // Without this an argument that begins with @ would be taken for a file of arguments.
            return root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
        }
        catch (InvalidOperationException e)
        {
            // A validator has asked for the value of an option that is given twice.
            throw new UsageException(e.Message.TrimEnd('.'));
        }
    }

    private static bool Cancel(CancellationTokenSource source)
    {
        if (source.IsCancellationRequested)
            return false;
        source.Cancel();
        return true;
    }

    /// <summary>Every command with its options.</summary>
    public static RootCommand Create(CommonOptions common, Terminal terminal)
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

    private static void RefuseWrongUsage(ParseResult parse)
    {
        if (parse.Action is not Help && StrayOption(parse) is { } stray)
            throw new UsageException($"unknown option {stray}; text that begins with - goes behind --");
        if (parse.Action is ParseErrorAction)
            throw new UsageException(string.Join("; ", parse.Errors.Select(e => e.Message.TrimEnd('.')).Distinct()));
    }

    private static string NameOf(ParseResult? parse) =>
        parse?.CommandResult.Command is { } command and not RootCommand ? $"qwen {command.Name}" : "qwen";

    // The parser takes a misspelt option for the value of a positional argument.
    private static string? StrayOption(ParseResult parse)
    {
        if (parse.Tokens.Any(t => t.Type == TokenType.DoubleDash))
            return null;
        return parse.CommandResult.Children.OfType<ArgumentResult>().SelectMany(r => r.Tokens)
            .Select(t => t.Value).FirstOrDefault(v => v.Length > 1 && v[0] == '-');
    }
}
