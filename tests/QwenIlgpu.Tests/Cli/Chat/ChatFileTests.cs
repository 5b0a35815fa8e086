using QwenIlgpu.Cli.Chat;

namespace QwenIlgpu.Tests.Cli.Chat;

/// <summary>Conversations are written and read again; what is not understood changes nothing.</summary>
internal sealed class ChatFileTests
{
    private TemporaryDirectory directory = null!;

    private string FilePath => directory.File("chat.json");

    [SetUp]
    public void CreateDirectory() => directory = new TemporaryDirectory();

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    [Test]
    public void AConversationComesBackAsItWas()
    {
        ScriptedChat saved = new ScriptedChat(new ScriptedAnswer("**ja** \"漢\"\n🦊", "hm")) { System = "be brief" }.Run("one", $"/save {FilePath}");
        ScriptedChat loaded = new ScriptedChat().Run("lost", $"/load {FilePath}", "two");

        Assert.That(loaded.Seen[^1], Is.EqualTo("s: be brief | u: one | a: **ja** \"漢\"\n🦊 | u: two"));
        Assert.That(loaded.Messages[2].ReasoningContent, Is.EqualTo("hm"));
        Assert.That(saved.News[^1], Is.EqualTo($"3 messages written to {FilePath}"));
        Assert.That(loaded.News[1], Is.EqualTo($"3 messages read from {FilePath}; context 5 of 1000 tokens (0 %)"));
    }

    [Test]
    public void AFileIsVersionedMessages()
    {
        new ScriptedChat(new ScriptedAnswer("<yes> & ja")).Run("one", $"/save {FilePath}");

        Assert.That(File.ReadAllText(FilePath).ReplaceLineEndings("\n"), Is.EqualTo(
            """
            {
              "format": "qwen-chat",
              "version": 1,
              "messages": [
                {
                  "role": "user",
                  "content": "one"
                },
                {
                  "role": "assistant",
                  "content": "<yes> & ja"
                }
              ]
            }

            """.ReplaceLineEndings("\n")));
    }

    [Test]
    public void NoFileIsReplacedUnasked()
    {
        string other = directory.File("other.json");
        File.WriteAllText(other, "mine");
        ScriptedChat chat = new ScriptedChat().Run("one", $"/save {other}", $"/save {FilePath}", "two", "/save", $"/save {FilePath}", $"/save! {other}");

        Assert.That(chat.News[1], Is.EqualTo($"{other} is there already; /save! {other} replaces it"));
        Assert.That(chat.News[^3..], Is.EqualTo(new[]
        {
            $"4 messages written to {FilePath}, in place of what was there",
            $"4 messages written to {FilePath}, in place of what was there",
            $"4 messages written to {other}, in place of what was there",
        }));
        Assert.That(File.ReadAllText(other), Is.EqualTo(File.ReadAllText(FilePath)));
    }

    [Test]
    public void AfterClearTheFileIsNoLongerThisConversations()
    {
        ScriptedChat chat = new ScriptedChat().Run("one", $"/save {FilePath}", "/clear", "/save", $"/save {FilePath}");

        Assert.That(chat.News[^2], Does.StartWith("/save takes the name of a file"));
        Assert.That(chat.News[^1], Does.Contain("is there already"));
    }

    [Test]
    public void AFileThatCannotBeWrittenIsSaid() =>
        Assert.That(new ScriptedChat().Run("one", $"/save {directory.File("no/such")}", "two").News[1], Does.Contain("there is no directory"));

    [TestCase("[]", "is no saved conversation")]
    [TestCase("{}", "is no saved conversation")]
    [TestCase("""{"format": 1}""", "is no saved conversation")]
    [TestCase("""{"format": "qwen-chat"}""", "version is missing; this qwen reads version 1")]
    [TestCase("""{"format": "qwen-chat", "version": 2, "more": 1}""", "version is 2; this qwen reads version 1")]
    [TestCase("""{"format": "qwen-chat", "version": 1}""", "messages is not an array")]
    [TestCase("""{"format": "qwen-chat", "version": 1, "messages": [], "ids": []}""", "ids is not known to version 1; there are format, version, messages")]
    [TestCase("""{"format": "qwen-chat", "version": 1, "messages": [3]}""", "messages[0] is not an object")]
    [TestCase("""{"format": "qwen-chat", "version": 1, "messages": [{"role": "user"}]}""", "messages[0].content is missing")]
    [TestCase("""{"format": "qwen-chat", "version": 1, "messages": [{"role": "user", "content": []}]}""", "messages[0].content is not a string")]
    [TestCase("""{"format": "qwen-chat", "version": 1, "messages": [{"role": "user", "content": "", "name": ""}]}""", "messages[0].name is not known to version 1")]
    [TestCase("""{"format": "qwen-chat", "version": 1, "messages": [{"role": "tool", "content": ""}]}""", "messages[0].role is \"tool\"; \"user\" is expected there")]
    [TestCase("""{"format": "qwen-chat", "version": 1, "messages": [{"role": "user", "content": ""}]}""", "messages end with a question")]
    [TestCase("""{"format": "qwen-chat", "version": 1, "messages": [{"role": "user", "content": "\ud800"}]}""", "chat.json")]
    [TestCase("{", "chat.json")]
    [TestCase("", "chat.json")]
    public void WhatIsNotUnderstoodChangesNothing(string text, string fault)
    {
        File.WriteAllText(FilePath, text);
        ScriptedChat chat = new ScriptedChat { System = "s" }.Run("one", $"/load {FilePath}", "two");

        Assert.That(chat.News, Has.Length.EqualTo(3));
        Assert.That(chat.News[1], Does.StartWith(FilePath).And.Contain(fault));
        Assert.That(chat.Seen[^1], Is.EqualTo("s: s | u: one | a: answer 1 | u: two"));
    }

    [Test]
    public void AFileThatIsNotThereIsSaid() =>
        Assert.That(new ScriptedChat().Run($"/load {FilePath}").News, Is.EqualTo(new[] { $"{FilePath}: no such file; /load takes one that /save has written" }));

    [Test]
    public void AnEmptyConversationIsOneToo()
    {
        ScriptedChat chat = new ScriptedChat { System = "s" }.Run($"/save {FilePath}", "/system -", $"/load {FilePath}", "one");

        Assert.That(chat.Seen, Is.EqualTo(new[] { "s: s | u: one" }));
        Assert.That(chat.News[2], Is.EqualTo($"1 message read from {FilePath}"));
    }
}
