using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace QwenIlgpu.Cli;

/// <summary>
/// The help pages, as wide as the terminal. The parser's own pages break words where columns are narrow, and know nothing of examples.
/// </summary>
internal sealed class Help(RootCommand root, IReadOnlyDictionary<Command, string> examples, Terminal terminal) : SynchronousCommandLineAction
{
    public override bool ClearsParseErrors => true;

    /// <summary>Makes --help print the pages; the root's page shows the first example of each command.</summary>
    public static void Configure(RootCommand root, IReadOnlyDictionary<Command, string> examples, Terminal terminal)
    {
        HelpOption help = root.Options.OfType<HelpOption>().Single();
        help.Description = "Print this help.";

        // A text may begin with a slash.
        help.Aliases.Remove("/h");
        help.Aliases.Remove("/?");
        help.Action = new Help(root, examples, terminal);
        root.Options.OfType<VersionOption>().Single().Description = "Print the version.";
    }

    public override int Invoke(ParseResult parseResult)
    {
        Command command = parseResult.CommandResult.Command;
        var page = new HelpPage(parseResult.InvocationConfiguration.Output, terminal.Width);
        page.WriteText(command.Description!);
        page.WriteSection("Usage:");
        page.WriteText(Usage(command), 2);
        page.WriteList("Arguments:", [.. command.Arguments.Select(a => (a.Name, a.Description!))]);
        page.WriteList("Commands:", [.. command.Subcommands.Select(c => (c.Name, c.Description!))]);
        page.WriteList("Options:", Rows(command.Options));
        page.WriteList("Options of every command:", command == root ? [] : Rows(root.Options.Where(o => o.Recursive)));
        page.WriteSection("Examples:");
        foreach (string line in command == root ? examples.Values.Select(e => e.Split('\n')[0]) : examples[command].Split('\n'))
            page.WriteCommand(line.TrimEnd('\r'));
        if (command == root)
        {
            PublishedModels.Write(page);
            page.WriteSection("Exit codes:");
            page.WriteText("0 done, 1 failed, 2 wrong usage, 130 interrupted.", 2);
        }

        return ExitCode.Done;
    }

    private static string Usage(Command command)
    {
        if (command is RootCommand)
            return "qwen COMMAND [options]";
        IEnumerable<string> arguments = command.Arguments.Select(a => a.Arity.MinimumNumberOfValues == 0 ? $"[{a.Name}]" : a.Name);
        IEnumerable<string> required = command.Options.Where(o => o.Required).Select(o => $"{o.Name} {o.HelpName}");
        return string.Join(' ', ["qwen", command.Name, .. arguments, .. required, "[options]"]);
    }

    // Short names have a column of their own where there are any.
    private static (string Label, string Text)[] Rows(IEnumerable<Option> options)
    {
        string without = options.Any(o => ShortName(o) is not null) ? "    " : "";
        return [.. options.Select(o => (
            $"{(ShortName(o) is { } name ? $"{name}, " : without)}{o.Name} {o.HelpName}".TrimEnd(),
            o.Required ? $"{o.Description} [required]" : o.Description!))];
    }

    private static string? ShortName(Option option) => option.Aliases.FirstOrDefault(a => a is ['-', not ('-' or '?')]);
}
