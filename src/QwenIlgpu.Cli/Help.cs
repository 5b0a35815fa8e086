using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace QwenIlgpu.Cli;

/// <summary>
/// The help pages, as wide as the terminal. The parser's own pages break words where columns are narrow, and know nothing of examples.
/// </summary>
internal sealed class Help(
    RootCommand root, IReadOnlyList<string> rootExamples, IReadOnlyDictionary<Command, string> examples, Terminal terminal) : SynchronousCommandLineAction
{
    public override bool ClearsParseErrors => true;

    /// <summary>Makes --help print the pages; the root's page shows the first example of each command, but not of those below one.</summary>
    public static void Configure(
        RootCommand root, IReadOnlyList<(Command Command, string Examples)> commands, IReadOnlyList<(Command Command, string Examples)> below,
        Terminal terminal)
    {
        HelpOption help = root.Options.OfType<HelpOption>().Single();
        help.Description = "Print this help.";

        // A text may begin with a slash.
        help.Aliases.Remove("/h");
        help.Aliases.Remove("/?");
        string[] first = [.. commands.Select(c => c.Examples.Split('\n')[0])];
        help.Action = new Help(root, first, commands.Concat(below).ToDictionary(c => c.Command, c => c.Examples), terminal);
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
        foreach (string line in command == root ? rootExamples : examples[command].Split('\n'))
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
        if (command.Subcommands.Count > 0)
            return $"{PathOf(command)} COMMAND [options]";
        IEnumerable<string> arguments = command.Arguments.Select(a => a.Arity.MinimumNumberOfValues == 0 ? $"[{a.Name}]" : a.Name);
        IEnumerable<string> required = command.Options.Where(o => o.Required).Select(o => $"{o.Name} {o.HelpName}");
        return string.Join(' ', [PathOf(command), .. arguments, .. required, "[options]"]);
    }

    /// <summary>A command with those that it stands under, as it is typed.</summary>
    public static string PathOf(Command command) =>
        command.Parents.OfType<Command>().FirstOrDefault() is { } parent ? $"{PathOf(parent)} {command.Name}" : "qwen";

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
