using System.Text.Json;
using QwenIlgpu.Cli;
using static QwenIlgpu.Tests.TokenizationData;

namespace QwenIlgpu.Tests.Cli;

/// <summary>`qwen generate --tools`: what the model is told of and what comes back. The tiny model calls none.</summary>
internal sealed class ToolsOptionTests
{
    private const string Weather = """[{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]""";

    private static readonly string[] Quick = ["generate", "hello", "--no-thinking", "--greedy", "--max-tokens", "2"];

    [Test]
    public void ToolsStandInThePromptAndCallsInTheJson()
    {
        JsonElement with = Run(Weather, "--json").Expect(ExitCode.Done).Json;
        JsonElement without = CommandLine.RunModel([.. Quick, "--json"]).Expect(ExitCode.Done).Json;

        Assert.That(with.GetProperty("tool_calls").GetArrayLength(), Is.Zero);
        Assert.That(without.TryGetProperty("tool_calls", out _), Is.False);
        Assert.That(PromptTokens(with), Is.GreaterThan(PromptTokens(without) + 100));
    }

    [Test]
    public void ToolsMayBePipedIn() =>
        Assert.That(
            PromptTokens(CommandLine.RunWithInput(Weather, [.. Quick, "--tools", "-", "--json", .. CommandLine.Device]).Expect(ExitCode.Done).Json),
            Is.EqualTo(PromptTokens(Run(Weather, "--json").Json)));

    [TestCase("{}", "holds a JSON Object, an array of functions is expected")]
    [TestCase("[]", "holds no function; leave --tools away for none")]
    [TestCase("[{\"type\": \"function\", \"function\": {\"name\": \"f\"}}, {\"name\": \"g\"}]", "item 1 is no function")]
    [TestCase("[{\"type\": \"function\", \"function\": {\"name\": \"\"}}]", "item 0 is no function")]
    [TestCase("[5]", "item 0 is no function")]
    [TestCase("[", "tools.json")]
    [TestCase("[{\"function\": {\"name\": \"\\ud800\"}}]", "tools.json")]
    public void AFaultyFileIsNamed(string tools, string fault)
    {
        CommandLine run = Run(tools).Expect(ExitCode.Failed);

        Assert.That(run.Error, Does.Contain("tools.json").And.Contain(fault).And.Not.Contain("   at "));
        Assert.That(run.Output, Is.Empty);
    }

    // A template that leaves tools out would have the model answer as if there were none.
    [TestCase("{% for m in messages %}{{ m.content }}{% endfor %}", ExitCode.Failed, "tells the model of no tools; --chat-template chooses another")]
    [TestCase("{% for m in messages %}{{ m.content }}{{ m.tool_calls[0].function.name if m.tool_calls }}{% endfor %}", ExitCode.Done, "stay in the text")]
    public void TheTemplateMustKnowTools(string template, int code, string said) => WithDirectory(
        directory =>
        {
            string[] files = ["--tools", Path.Combine(directory, "tools.json"), "--chat-template", Path.Combine(directory, "chat.jinja")];
            CommandLine run = CommandLine.RunModel(["generate", "hello", "--greedy", "--max-tokens", "2", .. files]).Expect(code);
            Assert.That(run.Error, Does.Contain("--tools: the chat template").And.Contain(said));
            return true;
        },
        ("tools.json", Weather), ("chat.jinja", template));

    private static CommandLine Run(string tools, params string[] options) => WithDirectory(
        directory => CommandLine.RunModel([.. Quick, "--tools", Path.Combine(directory, "tools.json"), .. options]), ("tools.json", tools));

    private static int PromptTokens(JsonElement json) => json.GetProperty("usage").GetProperty("prompt_tokens").GetInt32();
}
