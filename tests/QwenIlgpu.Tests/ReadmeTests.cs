using System.Text.RegularExpressions;

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

    private static string[] Lines(string text) => [.. text.Split('\n').Select(l => l.Trim()).Where(l => l.Length > 0)];

    [GeneratedRegex("```csharp\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex CSharpBlock();
}
