using System.Text.RegularExpressions;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests;

/// <summary>What README.md shows works as it stands there.</summary>
[NonParallelizable]
internal sealed partial class ReadmeTests
{
    private static string Readme { get; } = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "data", "README.md"));

    [Test]
    public async Task LibrarySampleAnswers()
    {
        var output = new StringWriter();

        await ReadmeSample.Run(TestData.TinyModel, output);

        Assert.That(output.ToString(), Does.Contain("Oslo"));
    }

    [Test]
    public void LibrarySampleIsTheOneThatRuns()
    {
        string source = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "data", "ReadmeSample.cs"));

        string[] shown = Lines(CSharpBlock().Match(Readme).Groups[1].Value);

        Assert.That(shown, Is.Not.Empty);
        Assert.That(string.Join('\n', Lines(source)), Does.Contain(string.Join('\n', shown)));
    }

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
