using System.Text.Json;
using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>`qwen chat` on the tiny model.</summary>
internal sealed class ChatCommandTests
{
    private static readonly string[] Chat = ["chat", "--no-thinking", "--greedy", .. CommandLine.Device];

    [Test]
    public void AnswersLineByLineUntilExit()
    {
        const string Input = "What is the capital of Norway?\n\nWhat sound does a cow make?\n/exit\nnever read\n";
        CommandLine run = CommandLine.RunWithInput(Input, Chat).Expect(ExitCode.Done);

        string[] lines = run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(lines, Has.Length.GreaterThanOrEqualTo(2));
        Assert.That(lines[0].TrimEnd(), Is.EqualTo("The capital of Norway is Oslo."));
        Assert.That(run.Error, Does.Contain("tok/s"));
    }

    [Test]
    public void JsonIsALineForEachTurn()
    {
        const string Input = "/nonsense\nHello\n/clear\nWhat is the capital of Norway?\n";
        CommandLine run = CommandLine.RunWithInput(Input, [.. Chat, "--json", "--system", "Be brief."]).Expect(ExitCode.Done);

        JsonElement[] turns = Turns(run);
        Assert.That(turns, Has.Length.EqualTo(2));
        Assert.That(turns[1].GetProperty("text").GetString(), Is.EqualTo("The capital of Norway is Oslo."));
        Assert.That(turns[1].GetProperty("finish_reason").GetString(), Is.EqualTo("stop"));
        Assert.That(turns[1].GetProperty("usage").GetProperty("cached_tokens").GetInt32(), Is.Zero, "the prompt is shorter than a page");
        Assert.That(run.Error, Does.Contain("/nonsense is no command").And.Contain("begins anew"));
    }

    [Test]
    public void ALineThatNoLongerFitsIsRefusedAndTheChatGoesOn()
    {
        string longLine = string.Join(' ', Enumerable.Repeat("river", 200));
        CommandLine run = CommandLine.RunWithInput($"{longLine}\nWhat is the capital of Norway?\n", [.. Chat, "--context", "128"]).Expect(ExitCode.Done);

        Assert.That(run.Error, Does.Contain("the context 128").And.Contain("/clear"));
        Assert.That(run.Output, Does.Contain("Oslo"));
        JsonElement[] turns = Turns(
            CommandLine.RunWithInput($"{longLine}\nWhat is the capital of Norway?\n", [.. Chat, "--context", "128", "--json"]).Expect(ExitCode.Done));
        Assert.That(turns[0].GetProperty("error").GetString(), Does.Contain("the context 128"));
        Assert.That(turns[1].GetProperty("text").GetString(), Does.Contain("Oslo"));
    }

    // A turn takes 24 of the 96 tokens that are left beside an answer.
    [TestCase("drop", 5, "no longer sees the oldest 1 turn")]
    [TestCase("stop", 4, "the context is full: this would be")]
    public void AFullContextGivesOldTurnsUpOrRefuses(string onFull, int answers, string news)
    {
        string input = string.Concat(Enumerable.Repeat("What is the capital of Norway?\n", 5));
        CommandLine run = CommandLine.RunWithInput(input, [.. Chat, "--context", "128", "--on-full", onFull]).Expect(ExitCode.Done);

        Assert.That(run.Error, Does.Contain(news));
        Assert.That(run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries), Has.Length.EqualTo(answers));
    }

    [Test]
    public void AnAnswerThatIsAllThoughtsIsNotKept()
    {
        string[] thinking = ["chat", "--greedy", "--max-tokens", "3", "--json", .. CommandLine.Device];
        CommandLine run = CommandLine.RunWithInput("What is the capital of Norway?\n", thinking).Expect(ExitCode.Done);

        Assert.That(run.Error, Does.Contain("cut off inside its thoughts").And.Contain("/set max-tokens 12").And.Contain("--no-thinking"));
        Assert.That(run.Json.GetProperty("finish_reason").GetString(), Is.EqualTo("length"));
        Assert.That(run.Json.GetProperty("text").GetString(), Is.Empty);
    }

    [Test]
    public void FoldedThoughtsAreCountedAndNotShown()
    {
        string[] thinking = ["chat", "--greedy", "--thoughts", "fold", .. CommandLine.Device];
        CommandLine run = CommandLine.RunWithInput("What is the capital of Norway?\n", thinking).Expect(ExitCode.Done);

        Assert.That(run.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries), Has.All.StartsWith("qwen: "));
        Assert.That(run.Error, Does.Contain("of them thoughts"));
        Assert.That(run.Output, Does.Contain("Oslo"));
    }

    [Test]
    public void AnInterruptStopsTheAnswerNotTheChat()
    {
        using var error = new StringWriter();
        using var output = new InterruptingWriter();
        using var terminal = new Terminal(new StringReader("Tell me a story.\nWhat is the capital of Norway?\n"), output, error);
        output.OnFirstWrite = () => terminal.Interrupts.Raise();

        int code = CommandLine.RunOn(terminal, [.. Chat, "--context", "2048", "--max-tokens", "2000"]);

        Assert.That(code, Is.EqualTo(ExitCode.Done));
        Assert.That(error.ToString(), Does.Contain("answer stopped"));
        Assert.That(error.ToString().Split("tok/s"), Has.Length.EqualTo(2), "only the second answer came to its end");
    }

    private static JsonElement[] Turns(CommandLine run) =>
        [.. run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line => JsonElement.Parse(line))];
}
