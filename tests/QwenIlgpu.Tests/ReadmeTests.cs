using System.Text.RegularExpressions;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests;

/// <summary>What README.md shows works as it stands there.</summary>
[NonParallelizable]
internal sealed partial class ReadmeTests
{
    public static string Readme { get; } = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "data", "README.md"));

    [Test]
    public async Task LibrarySampleAnswers()
    {
        TextWriter console = Console.Out;
        var output = new StringWriter();
        Console.SetOut(output);
        try
        {
            await ReadmeSample.Run([TestData.TinyModel]);
        }
        finally
        {
            Console.SetOut(console);
        }

        Assert.That(output.ToString(), Does.Contain("Oslo"));
    }

    [Test]
    public void LibrarySampleIsTheOneThatRuns()
    {
        string source = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "data", "ReadmeSample.cs"));

        string[][] shown =
        [
            .. Lines(LibrarySample).GroupBy(l => l.StartsWith("using ", StringComparison.Ordinal)).Select(g => g.ToArray()),
        ];

        Assert.That(shown, Has.Length.EqualTo(2));
        foreach (string[] part in shown)
            Assert.That(string.Join('\n', Lines(source)), Does.Contain(string.Join('\n', part)));
    }

    /// <summary>The library sample as it stands there.</summary>
    public static string LibrarySample => CSharpBlock().Match(Readme).Groups[1].Value;

    private static IEnumerable<string> Commands() =>
        from line in Lines(Readme)
        where line.StartsWith("qwen ", StringComparison.Ordinal) || line.Contains("src/QwenIlgpu.Cli -- generate", StringComparison.Ordinal)
        select line[(line.IndexOf(" -- ", StringComparison.Ordinal) is var i and > 0 ? i + 4 : 5)..];

    [TestCaseSource(nameof(Commands))]
    public void CommandOfTheReadmeSucceeds(string command)
    {
        string[] args = [.. Argument().Matches(command).Select(m => m.Value.Trim('"'))];

        string output = Cli.CommandLine.Run(args).Expect(ExitCode.Done).Output;

        Assert.That(output, Is.Not.Empty);
    }

    private static string[] Lines(string text) => [.. text.Split('\n').Select(l => l.Trim()).Where(l => l.Length > 0)];

    [GeneratedRegex("\"[^\"]*\"|\\S+")]
    private static partial Regex Argument();

    [GeneratedRegex("```csharp\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex CSharpBlock();
}
