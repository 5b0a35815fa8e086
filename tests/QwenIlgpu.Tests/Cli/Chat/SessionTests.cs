using System.Text.Json;
using QwenIlgpu.Cli;
using QwenIlgpu.Cli.Chat;

namespace QwenIlgpu.Tests.Cli.Chat;

/// <summary>Chats that go on where another process left off.</summary>
internal sealed class SessionTests
{
    private const string First = "What is the capital of Norway?\nWhat sound does a cow make?\n";
    private const string Second = "What is the capital of Sweden?\n";

    // Longer than a few pages, so that there is something to go on from.
    private static readonly string[] Chat =
    [
        "chat", "--no-thinking", "--greedy", "--json", "--system", string.Join(' ', Enumerable.Repeat("Be brief and polite.", 40)), .. CommandLine.Device,
    ];

    private TemporaryDirectory directory = null!;

    private string FilePath => directory.File("fox.session");

    [SetUp]
    public void CreateDirectory() => directory = new TemporaryDirectory();

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    [TestCase("exact")]
    [TestCase("reuse")]
    public void GoesOnAsIfNothingHadHappened(string mode)
    {
        string[] chat = [.. Chat, "--prefix-cache", mode];
        JsonElement[] expected = Turns(CommandLine.RunWithInput(First + Second, chat));

        JsonElement[] first = Turns(CommandLine.RunWithInput(First, [.. chat, "--session", FilePath]));
        CommandLine run = CommandLine.RunWithInput(Second, [.. chat, "--session", FilePath]);
        JsonElement[] second = Turns(run);

        Assert.That(run.Error, Does.Not.Contain("left out"));
        Assert.That(first.Concat(second).Select(Ids), Is.EqualTo(expected.Select(Ids)));
        Assert.That(Cached(second[0]), Is.EqualTo(Cached(expected[2])).And.GreaterThan(64));
    }

    [Test]
    public void OnlyItsUserCanReadIt()
    {
        CommandLine.RunWithInput(First, [.. Chat, "--session", FilePath]).Expect(ExitCode.Done);
        if (!OperatingSystem.IsWindows())
            Assert.That(File.GetUnixFileMode(FilePath), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        Assert.That(Directory.GetFiles(directory.Path), Has.Length.EqualTo(1), "nothing unfinished is left");
    }

    // Messages go with any model; what was computed of them does not.
    [Test]
    public void ACacheOfAnotherFormatIsLeftOut()
    {
        CommandLine.RunWithInput(First, [.. Chat, "--session", FilePath]).Expect(ExitCode.Done);

        CommandLine run = CommandLine.RunWithInput(Second, [.. Chat, "--kv-type", "f32", "--session", FilePath]);
        JsonElement[] turns = Turns(run);

        Assert.That(run.Error, Does.Contain("fox.session: its cache is of another model, format or build of qwen, and is left out"));
        Assert.That((Cached(turns[0]), turns[0].GetProperty("usage").GetProperty("prompt_tokens").GetInt32() > 250), Is.EqualTo((0, true)));
    }

    [TestCase(0.3, "damaged")]
    [TestCase(0.9999, "damaged")]
    [TestCase(null, "cut off")]
    public void ACacheThatIsNotAsItWasWrittenIsLeftOut(double? place, string fault)
    {
        CommandLine.RunWithInput(First, [.. Chat, "--session", FilePath]).Expect(ExitCode.Done);
        byte[] bytes = File.ReadAllBytes(FilePath);
        if (place is { } at)
            bytes[(int)(at * bytes.Length)] ^= 1;
        File.WriteAllBytes(FilePath, place is null ? bytes[..^1] : bytes);

        CommandLine run = CommandLine.RunWithInput(Second, [.. Chat, "--session", FilePath]);
        JsonElement[] turns = Turns(run);

        Assert.That(run.Error, Does.Contain($"its cache is {fault}, and is left out"));
        Assert.That(Cached(turns[0]), Is.Zero);
    }

    // Killed in between, the messages of the turns before are there.
    [Test]
    public void EachTurnIsWrittenAtOnce()
    {
        var conversation = new Conversation { System = "s" };
        conversation.Add(new Turn(PromptMessage.User("q"), PromptMessage.Assistant("a") with { ReasoningContent = "r" }));
        var file = new SessionFile(FilePath);

        file.Save(conversation);

        (string? system, IReadOnlyList<Turn> turns) = file.LoadMessages();
        Assert.That(system, Is.EqualTo("s"));
        Assert.That(turns.Select(static turn => (turn.Question.Content, turn.Answer.Content, turn.Answer.ReasoningContent)), Is.EqualTo(new[] { ("q", "a", "r") }));
    }

    [TestCase("hello", "not valid JSON")]
    [TestCase("{}", "is no saved conversation; one has")]
    [TestCase("""{"format": "qwen-session", "version": 2}""", "version is 2; this qwen reads version 1")]
    [TestCase("""{"format": "qwen-session", "version": 1, "messages": [], "more": 1}""", "more is not known to version 1")]
    public void AnotherFileIsRefusedAndStaysAsItIs(string text, string fault)
    {
        File.WriteAllText(FilePath, text);

        Assert.That(CommandLine.RunWithInput(First, [.. Chat, "--session", FilePath]).Expect(ExitCode.Failed).Error, Does.Contain(fault));
        Assert.That(File.ReadAllText(FilePath), Is.EqualTo(text));
    }

    [Test]
    public void ADirectoryIsRefused() => Assert.That(
        CommandLine.RunWithInput(First, [.. Chat, "--session", directory.Path]).Expect(ExitCode.Failed).Error, Does.Contain("is no regular file"));

    private static string Ids(JsonElement turn) => $"{turn.GetProperty("ids")}";

    private static int Cached(JsonElement turn) => turn.GetProperty("usage").GetProperty("cached_tokens").GetInt32();

    private static JsonElement[] Turns(CommandLine run) =>
        [.. run.Expect(ExitCode.Done).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line => JsonElement.Parse(line))];
}
