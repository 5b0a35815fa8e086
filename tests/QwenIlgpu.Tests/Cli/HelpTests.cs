using System.CommandLine;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>
/// The help pages at several widths, held against tests/data/help. Where a page has changed and is meant so, the failing test has written
/// the new pages beside the old ones and says which file to copy where.
/// </summary>
internal sealed class HelpTests
{
    private static readonly RootCommand Root = QwenCommand.Create(new CommonOptions(QwenModel.LoadAsync, CommandLine.EmptyCache), new Terminal(TextReader.Null, TextWriter.Null, TextWriter.Null));

    // Each with those below it, as they are typed.
    private static IEnumerable<string> Commands => Root.Subcommands.SelectMany(c => c.Subcommands.Select(s => $"{c.Name} {s.Name}").Prepend(c.Name));

    [TestCase(40)]
    [TestCase(80)]
    [TestCase(200)]
    public void PagesAreTheCommittedOnes(int width)
    {
        string committed = Path.Combine(AppContext.BaseDirectory, "data", "help", $"{width}.txt");
        string pages = string.Join('\n', Commands.Prepend("").Select(c => $"$ qwen {c}".TrimEnd() + $" --help\n{PageOf(c, width)}"));
        string expected = File.Exists(committed) ? File.ReadAllText(committed) : "";

        string anew = Path.ChangeExtension(committed, ".new.txt");
        if (pages != expected)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(anew)!);
            File.WriteAllText(anew, pages);
        }

        Assert.That(pages, Is.EqualTo(expected), $"if the pages are meant so: cp {anew} tests/data/help/{width}.txt");
    }

    // An argument of an example is a word: a blank in quotes parts nothing.
    [Test]
    public void NoLineIsTooLongAndNoWordIsCut()
    {
        foreach (string command in Commands.Prepend(""))
        {
            string[] words = Words(PageOf(command, 200));
            for (int width = 40; width < 200; width++)
            {
                string page = PageOf(command, width);

                Assert.That(page.Split('\n').Select(l => l.Length), Has.All.AtMost(width), $"{command} at {width}:\n{page}");
                Assert.That(Words(page), Is.EqualTo(words), $"{command} at {width}");
                Assert.That(page.Split('\n'), Has.None.EndsWith(" "), $"{command} at {width}");
            }
        }
    }

    [Test]
    public void EveryNumberTellsItsRange()
    {
        Option[] numbers = [.. Root.Subcommands.SelectMany(c => c.Options.Concat(c.Subcommands.SelectMany(s => s.Options))).Concat(Root.Options).Where(o => o.HelpName is "N" or "N,N,…")];

        Assert.That(numbers, Has.Length.AtLeast(20));
        foreach (Option option in numbers)
            Assert.That(option.Description, Does.Match(@"\[.*(to|above|at least) .*\d.*\]$"), option.Name);
    }

    [Test]
    public void FiveOptionsHaveShortNames()
    {
        string[] names = [.. Root.Subcommands.SelectMany(c => c.Options.Concat(c.Subcommands.SelectMany(s => s.Options))).Concat(Root.Options).Where(o => o.Name != "--help").SelectMany(o => o.Aliases).Distinct().Order(StringComparer.Ordinal)];

        Assert.That(names, Is.EqualTo(new[] { "-d", "-j", "-m", "-n", "-s" }));
    }

    [Test]
    public void NothingAtAllAsksForHelp()
    {
        CommandLine nothing = CommandLine.Run().Expect(ExitCode.Done);

        Assert.That(nothing.Output, Is.EqualTo(CommandLine.Run("--help").Output).And.Contains("130 interrupted"));
        Assert.That(nothing.Error, Is.Empty);
    }

    [TestCase("info", "--help", "--color", "blue")]
    [TestCase("info", "--device", "x", "-h")]
    [TestCase("--help", "--frob")]
    public void HelpIsGivenHoweverWrongTheRestIs(params string[] args) =>
        Assert.That(CommandLine.Run(args).Expect(ExitCode.Done).Output, Does.Contain("Examples:"));

    private static string PageOf(string command, int width)
    {
        using var output = new StringWriter();
        using var terminal = new Terminal(TextReader.Null, output, TextWriter.Null) { Width = width };
        Assert.That(CommandLine.RunOn(terminal, [.. command.Split(' ', StringSplitOptions.RemoveEmptyEntries), "--help"]), Is.EqualTo(ExitCode.Done));
        return output.ToString();
    }

    private static string[] Words(string page) => [.. page.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Where(w => w != "\\")];
}
