using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace QwenIlgpu.Cli;

/// <summary>The help pages: the parser's own, with examples below.</summary>
internal sealed class Help(HelpAction page, RootCommand root, IReadOnlyDictionary<Command, string> examples) : SynchronousCommandLineAction
{
    private const int Width = 110;

    public override bool ClearsParseErrors => true;

    /// <summary>Puts examples under the help page of every command; the root shows the first of each.</summary>
    public static void Configure(RootCommand root, IReadOnlyDictionary<Command, string> examples)
    {
        foreach (HelpOption option in root.Options.OfType<HelpOption>())
        {
            if (option.Action is not HelpAction page)
                continue;
            page.MaxWidth = Width;
            option.Action = new Help(page, root, examples);
        }
    }

    public override int Invoke(ParseResult parseResult)
    {
        page.Invoke(parseResult);
        Command command = parseResult.CommandResult.Command;
        TextWriter output = parseResult.InvocationConfiguration.Output;
        IEnumerable<string> lines = command == root ? examples.Values.Select(e => e.Split('\n')[0]) : examples[command].Split('\n');
        output.WriteLine("Examples:");
        foreach (string line in lines)
            output.WriteLine($"  {line.TrimEnd('\r')}");
        if (command == root)
        {
            output.WriteLine();
            PublishedModels.Write(output);
            output.WriteLine();
            output.WriteLine("Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.");
        }

        return ExitCode.Done;
    }
}
