using System.CommandLine;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>
/// Seeded command lines, most of them nearly right: real commands and options with good and odd values, in every way of writing them.
/// </summary>
internal sealed class ArgumentVectors
{
    private const double OddShare = 0.12;

    private static readonly string[] OddTexts =
    [
        "", " ", "-", "--", "---", "-1", "+5", "0", "NaN", "Infinity", "-inf", "1e999", "1e-999", "99999999999999999999", "2147483648", "٣", "0x10", "1_000", "0,5",
        "ä\u0301", "🦊", "a\0b", "\ud800", "\udc00x", "\u202e", "\u2028", "a\nb", "a\r\nb", "\t", "\e[31mred", "\a\u0085", "'\"`$(false)", "%s%n{0}", "{}", "[]", "[suggest]", "[diagram]",
        "@", "@no-such-file", "=", ":", "5=", "=5", "5=1=2", "/", "//", ".", "..", "~", "CON", "--help", "-h", "-?", "--version", "--model", "--json=", "--json=maybe", "--verbose=maybe", "64,", ",", "64,64,64",
        new string('x', 5000), new string('9', 400), new string('n', 300),
    ];

    private readonly Random random;
    private readonly string[] files;
    private readonly string directory;
    private readonly RootCommand root;

    /// <param name="seed">Same seed, same vectors.</param>
    /// <param name="directory">Holds files to name: good ones such as <c>ids.json</c>, and others.</param>
    public ArgumentVectors(int seed, string directory)
    {
        (random, this.directory) = (new Random(seed), directory);
        files = [.. Directory.GetFileSystemEntries(directory).Order(StringComparer.Ordinal), "/dev/null", "/dev/full", "/no/such/file", directory + "/", Path.Combine(directory, "new", "file")];
        using var terminal = new Terminal(TextReader.Null, TextWriter.Null, TextWriter.Null);
        root = QwenCommand.Create(new CommonOptions((_, _, _, _) => throw new NotSupportedException(), CommandLine.EmptyCache), terminal);
    }

    public string[] Next()
    {
        if (Chance(0.03))
            return [.. Enumerable.Range(0, random.Next(5)).Select(_ => Odd())];
        Command command = One([.. root.Subcommands.Where(c => c.Name != "doctor" || Chance(0.1))]);
        List<string[]> parts = [.. command.Options.Where(o => o.Required && !Chance(0.03)).Select(Written)];
        parts.AddRange(command.Arguments.Where(_ => !Chance(0.03)).Select(a => (string[])[GoodOrOdd(GoodOf(command.Name, a.Name))]));
        Option[] optional = [.. command.Options.Concat(root.Options).Where(o => !o.Required && (o.Name is not ("--help" or "--version" or "--synthetic") || Chance(0.05)))];
        for (int i = random.Next(5); i > 0; i--)
            parts.Add(Written(One(optional)));
        while (Chance(0.06))
            parts.Add([Odd()]);

        // What runs for long without a loader, or writes where no option says.
        if (parts.Any(p => p[0].StartsWith("--synthetic", StringComparison.Ordinal)))
            parts.Add(["--plan"]);
        if (parts.Any(p => p[0].StartsWith("--tune", StringComparison.Ordinal)))
            parts.Add(["--output", Path.Combine(directory, "tiles")]);
        string[][] order = [.. parts];
        random.Shuffle(order);
        return [Chance(0.03) ? command.Name + "x" : command.Name, .. order.SelectMany(p => p)];
    }

    private string[] Written(Option option)
    {
        if (option.ValueType == typeof(bool))
            return [option.Name];
        string[] good = GoodOf(option.Name, option.HelpName ?? "");

        // A picture is written without a loader, over any file that is named.
        string value = option.Name == "--plan-picture" ? One(good) : GoodOrOdd(good);
        return random.Next(20) switch
        {
            0 => [option.Name],
            1 => [option.Name, value, option.Name, value],
            2 => [$"{option.Name}:{value}"],
            < 6 => [$"{option.Name}={value}"],
            _ => [option.Name, value],
        };
    }

    private string[] GoodOf(string name, string kind) => (name, kind) switch
    {
        ("--model", _) => [TestData.TinyModel],
        ("--device", _) => ["cpu"],
        ("--input", _) => [Path.Combine(directory, "ids.json"), Path.Combine(directory, "texts.json"), Path.Combine(directory, "chats.json"), "-"],
        ("--gpu-memory", _) => ["8GiB", "24GB"],
        ("--output" or "--plan-picture", _) => [Path.Combine(directory, "out"), Path.Combine(directory, "link"), "/dev/null"],
        ("--chat-template", _) => ["qwen3.6"],
        ("--rope-scaling", _) => ["yarn,factor=2", "yarn,factor=4,original=256"],
        ("--tools", _) => [Path.Combine(directory, "tools.json"), "-"],
        ("--runs" or "--layers", _) => ["8"],
        ("--vocabulary", _) => ["256"],
        ("--min-p" or "--top-p", _) => ["0.5"],
        ("--context" or "--prefill-chunk", _) => ["64", "128"],
        (_, "N") => ["1", "2"],
        (_, "N,N,…") => ["64", "16,32"],
        (_, "ID=VALUE") => ["5=1", "6=-inf"],
        (_, "NAME=VALUE") => ["reasoning_effort=low", "preserve_thinking=true"],
        (_, "PROMPT") => ["hello", "-"],
        ("--color", _) => ["always", "never"],
        (_, "TEXT") => ["hello", "-"],
        (_, "SHELL") => ["bash", "zsh", "pwsh"],
        (_, "FILE") => [Path.Combine(directory, "text.txt"), "-"],
        _ when kind.Contains('|', StringComparison.Ordinal) => kind.Split('|'),
        _ => ["hello"],
    };

    private string GoodOrOdd(string[] good) => Chance(OddShare) ? Odd() : One(good);

    private string Odd() => Chance(0.3) ? One(files) : One(OddTexts);

    private T One<T>(T[] items) => items[random.Next(items.Length)];

    private bool Chance(double share) => random.NextDouble() < share;
}
