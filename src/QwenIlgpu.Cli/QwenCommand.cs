using System.CommandLine;
using QwenIlgpu.Cli.Commands;

namespace QwenIlgpu.Cli;

/// <summary>The command line as a whole: its commands, and what becomes of errors, interrupts and wrong usage.</summary>
internal static class QwenCommand
{
    // An argument that begins with @ is no file of arguments, and -model no -m with a value.
    private static readonly ParserConfiguration Configuration = new() { ResponseFileTokenReplacer = null, EnablePosixBundling = false };

    /// <summary>Runs a command line and returns the exit code. A command that fails prints one line on Error, and nothing where its reader has left.</summary>
    public static async Task<int> RunAsync(IReadOnlyList<string> args, Terminal terminal, ModelLoader loadModel, HuggingFaceCache huggingFace)
    {
        var common = new CommonOptions(loadModel, huggingFace);
        var report = new ErrorReport(terminal);
        string name = "qwen";
        using var interrupted = new CancellationTokenSource();
        using IDisposable listening = terminal.Interrupts.Listen(() => Cancel(interrupted));
        try
        {
            ParseResult parse = Create(common, terminal).Parse(args.Count == 0 ? ["--help"] : args, Configuration);
            name = Help.PathOf(parse.CommandResult.Command);
            report.IsJson = common.IsJson(parse);
            if (terminal.Refusal is { } refusal)
                throw new IOException(refusal);
            if (WrongUsage.FaultyDirective(parse) is { } directive)
                throw new UsageException(directive);
            if (parse.Action is not { ClearsParseErrors: true })
                Heed(parse, common, terminal, report);
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
            return report.Tell(ExitCode.Interrupted, "interrupted", error: null);
        }
        catch (UsageException e)
        {
            return report.Tell(ExitCode.WrongUsage, $"{e.Message}; run '{name} --help'", e);
        }
#pragma warning disable CA1031 // Whatever a command throws becomes one message.
        catch (Exception e)
#pragma warning restore CA1031
        {
            // Like a filter that SIGPIPE ends: nobody is left who asked for anything.
            return DescriptorStream.IsReaderLeft(e) ? ExitCode.Failed : report.Tell(ExitCode.Failed, ErrorText.Of(e), e);
        }
    }

    // Help and version are given however wrong the rest is.
    private static void Heed(ParseResult parse, CommonOptions common, Terminal terminal, ErrorReport report)
    {
        if (WrongUsage.MessageOf(parse) is { } wrong)
            throw new UsageException(wrong);
        report.IsVerbose = parse.GetValue(common.Verbose);
        if (report.IsVerbose)
            terminal.ShowNotices();
        if (parse.GetValue(common.Color) is var color and not ColorUse.Auto)
            terminal.Colors = color == ColorUse.Always;
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
        var root = new RootCommand("Runs Qwen3.5, 3.6 and 3.8 language models on ILGPU kernels.") { HelpName = "qwen" };
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
            (EvalCommand.Create(common, terminal, out (Command, string)[] evaluations), EvalCommand.Examples),
            (CompletionCommand.Create(terminal), CompletionCommand.Examples),
        ];
        foreach ((Command command, _) in commands)
            root.Subcommands.Add(command);
        Help.Configure(root, commands, evaluations, terminal);
        return root;
    }
}
