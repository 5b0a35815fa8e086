using QwenIlgpu.Cli;
using QwenIlgpu.Cli.Chat;

namespace QwenIlgpu.Tests.Cli.Chat;

/// <summary>What lines do to a conversation, with a model whose answers are known.</summary>
internal sealed class ChatLoopTests
{
    [Test]
    public void EveryQuestionComesWithWhatWasSaidBefore()
    {
        ScriptedChat chat = new ScriptedChat { System = "be brief" }.Run("one", "  ", "two");

        Assert.That(chat.Seen, Is.EqualTo(new[] { "s: be brief | u: one", "s: be brief | u: one | a: answer 1 | u: two" }));
        Assert.That(chat.Output, Is.EqualTo("answer 1\nanswer 2\n"));
        Assert.That(ScriptedChat.Shown(chat.Messages), Is.EqualTo("s: be brief | u: one | a: answer 1 | u: two | a: answer 2"));
    }

    [Test]
    public void ContextUseStandsBehindAnAnswer() =>
        Assert.That(new ScriptedChat { ContextTokens = 16 }.Run("one two").News[0], Does.EndWith("; context 4 of 16 tokens (25 %)"));

    [TestCase("/hlep", "/hlep is no command (did you mean /help?)")]
    [TestCase("/regenerate it", "/regenerate is no command (did you mean /regen?)")]
    [TestCase("/usr/bin", "/usr/bin is no command; /help lists them")]
    [TestCase("/clear all", "/clear takes nothing behind it")]
    [TestCase(" /undo", "there is nothing to take back")]
    [TestCase("/regen", "there is no question to answer again")]
    [TestCase("/save", "/save takes the name of a file")]
    [TestCase("/load", "/load takes the name of a file")]
    [TestCase("/set temprature 1", "there is no setting temprature (did you mean temperature?); /set lists them")]
    public void WhatIsNoCommandIsNotSent(string line, string news)
    {
        ScriptedChat chat = new ScriptedChat().Run(line, "/exit", "never read");

        Assert.That(chat.Seen, Is.Empty);
        Assert.That(chat.News, Has.Length.EqualTo(1));
        Assert.That(chat.News[0], Does.Contain(news));
    }

    [Test]
    public void ATextMayBeginWithASlash() =>
        Assert.That(new ScriptedChat().Run("//usr/bin is what?").Seen, Is.EqualTo(new[] { "u: /usr/bin is what?" }));

    [Test]
    public void HelpNamesEveryCommand()
    {
        string help = new ScriptedChat().Run("/help").Error;

        foreach (string name in new[] { "/help", "/clear", "/save FILE", "/save! FILE", "/load FILE", "/system TEXT", "/set NAME VALUE", "/regen", "/undo", "/exit" })
            Assert.That(help, Does.Match($@"(?m)^  {name} +\w"));
        Assert.That(help, Does.Contain("//"));
    }

    [Test]
    public void UndoTakesTheLastTurnBack()
    {
        ScriptedChat chat = new ScriptedChat().Run("one", "two", "/undo", "three");

        Assert.That(chat.Seen[^1], Is.EqualTo("u: one | a: answer 1 | u: three"));
        Assert.That(chat.News[2], Is.EqualTo("taken back: two; context 3 of 1000 tokens (0 %)"));
    }

    [Test]
    public void RegenAsksTheLastQuestionAgain()
    {
        ScriptedChat chat = new ScriptedChat().Run("one", "/regen");

        Assert.That(chat.Seen, Is.EqualTo(new[] { "u: one", "u: one" }));
        Assert.That(ScriptedChat.Shown(chat.Messages), Is.EqualTo("u: one | a: answer 2"));
    }

    [Test]
    public void AnAnswerStaysWhereRegenBringsNone()
    {
        ScriptedChat chat = new ScriptedChat(new("good"), new("", IsStopped: true)).Run("one", "/regen");

        Assert.That(ScriptedChat.Shown(chat.Messages), Is.EqualTo("u: one | a: good"));
        Assert.That(chat.News[^1], Is.EqualTo("the answer that was there stays"));
    }

    [Test]
    public void ClearBeginsAnewWithTheSameInstructions() =>
        Assert.That(new ScriptedChat { System = "be brief" }.Run("one", "/clear", "two").Seen[^1], Is.EqualTo("s: be brief | u: two"));

    [Test]
    public void SystemSetsShowsAndRemovesInstructions()
    {
        ScriptedChat chat = new ScriptedChat().Run("/system", "/system be  brief", "/system", "one", "/system -", "two");

        Assert.That(chat.Seen, Is.EqualTo(new[] { "s: be  brief | u: one", "u: one | a: answer 1 | u: two" }));
        Assert.That(chat.News[0], Is.EqualTo("there are no instructions"));
        Assert.That(chat.News[2], Is.EqualTo("instructions: be  brief"));
    }

    [Test]
    public void AnAnswerThatIsStoppedIsKeptAsFarAsItCame()
    {
        ScriptedChat chat = new ScriptedChat(new ScriptedAnswer("half", IsStopped: true)).Run("one");

        Assert.That(ScriptedChat.Shown(chat.Messages), Is.EqualTo("u: one | a: half"));
        Assert.That(chat.News[^1], Is.EqualTo("answer stopped"));
    }

    [Test]
    public void AnAnswerThatIsStoppedWhileItThinksIsNotKept()
    {
        ScriptedChat chat = new ScriptedChat(new ScriptedAnswer("", "hm", IsStopped: true)).Run("one", "/regen");

        Assert.That(chat.News[1], Is.EqualTo("answer stopped before it began: the turn is not kept, /regen asks again"));
        Assert.That(ScriptedChat.Shown(chat.Messages), Is.EqualTo("u: one | a: answer 1"));
    }

    [Test]
    public void ATurnThatIsCutOffInsideThoughtsSaysWhatHelps()
    {
        ScriptedChat chat = new ScriptedChat(new ScriptedAnswer("", "hm", IsCut: true)).Run("one", "two");

        Assert.That(chat.Seen[^1], Is.EqualTo("u: two"), "the turn is not kept");
        Assert.That(chat.Error, Does.Contain(
            "cut off inside its thoughts, before any answer: /set max-tokens 2048 allows more (--max-tokens is 512), "
            + "/set thinking off answers at once (--no-thinking); the turn is not kept, /regen asks again\n"));
    }

    [Test]
    public void WhereTheContextCutThoughtsOffAMoreOfItHelps()
    {
        ScriptedChat chat = new ScriptedChat(new ScriptedAnswer("", "hm", IsCut: true, Tokens: 30)) { ContextTokens = 32 }.Run("one");

        Assert.That(chat.Error, Does.Contain("--context above 32 holds more").And.Not.Contain("max-tokens 2048"));
        Assert.That(chat.Messages, Is.Empty);
    }

    [Test]
    public void AnAnswerThatIsCutOffIsKept() =>
        Assert.That(new ScriptedChat(new ScriptedAnswer("half", "hm", IsCut: true)).Run("one").Messages[^1], Is.EqualTo(
            PromptMessage.Assistant("half") with { ReasoningContent = "hm" }).Using<PromptMessage>((a, b) => (a.Content, a.ReasoningContent) == (b.Content, b.ReasoningContent)));

    // 16 tokens, a quarter of them for an answer: 12 for what was said. A turn here is 1 + 2.
    [Test]
    public void OldTurnsGiveWayWhenTheContextIsFull()
    {
        ScriptedChat chat = new ScriptedChat { ContextTokens = 16, System = "s" }.Run("one", "two", "three", "four", "five");

        Assert.That(chat.Seen[^2], Is.EqualTo("s: s | u: one | a: answer 1 | u: two | a: answer 2 | u: three | a: answer 3 | u: four"));
        Assert.That(chat.Seen[^1], Is.EqualTo("s: s | u: two | a: answer 2 | u: three | a: answer 3 | u: four | a: answer 4 | u: five"));
        Assert.That(chat.News.Count(n => n == "the context is full: the model no longer sees the oldest 1 turn (--on-full stop refuses instead)"), Is.EqualTo(1));
        Assert.That(chat.Messages, Has.Count.EqualTo(11), "they stay in the conversation");
    }

    [Test]
    public void WhatWasLeftOutStaysOutAndIsToldOnce()
    {
        ScriptedChat chat = new ScriptedChat { ContextTokens = 16, System = "s" }.Run("one", "two", "three", "four", "five", "/set max-tokens 1", "six");

        Assert.That(chat.Seen[^1], Does.StartWith("s: s | u: two").And.EndWith("u: six"));
        Assert.That(chat.News.Count(n => n.Contains("no longer sees", StringComparison.Ordinal)), Is.EqualTo(1));
    }

    [Test]
    public void WhatWasLeftOutComesBackWhenThereIsRoomAgain() =>
        Assert.That(
            new ScriptedChat { ContextTokens = 16, System = "s" }.Run("one", "two", "three", "four", "five", "/undo", "/undo", "six").Seen[^1],
            Is.EqualTo("s: s | u: one | a: answer 1 | u: two | a: answer 2 | u: three | a: answer 3 | u: six"));

    [Test]
    public void OnFullStopRefuses()
    {
        var chat = new ScriptedChat { ContextTokens = 16, System = "s" };
        chat.Settings.OnFull = FullContext.Stop;
        chat.Run("one", "two", "three", "four", "five", "/undo", "/set on-full drop", "five words in this question");

        Assert.That(chat.Seen, Has.Count.EqualTo(5));
        Assert.That(chat.News[4], Does.StartWith("the context is full: this would be 14 of 16 tokens, and an answer needs 4 of them; /undo or /clear"));
        Assert.That(chat.Seen[^1], Is.EqualTo("s: s | u: two | a: answer 2 | u: three | a: answer 3 | u: five words in this question"));
    }

    [Test]
    public void AQuestionThatDoesNotFitByItselfIsRefusedAndDropsNothing()
    {
        ScriptedChat chat = new ScriptedChat { ContextTokens = 8 }.Run("one", "a b c d e f g h i", "two");

        Assert.That(chat.News[1], Is.EqualTo(
            "the prompt has 9 tokens without any turn before it, the context 8; shorten it, or raise --context (/clear begins anew)"));
        Assert.That(chat.Seen[^1], Is.EqualTo("u: one | a: answer 1 | u: two"));
    }

    [Test]
    public void ThoughtsCanBeFolded()
    {
        ScriptedChat chat = new ScriptedChat(new("yes", "hm"), new("no", "ah")).Run("one", "/set thoughts fold", "two");

        Assert.That(chat.Error, Does.Contain("hm").And.Not.Contain("ah"));
        Assert.That((chat.Output, chat.Messages[^1].ReasoningContent), Is.EqualTo(("yes\nno\n", "ah")));
    }

    [Test]
    public void TextIsPipedAsTheModelWroteIt()
    {
        const string Markdown = "# Title\n\n* **bold** `code`\n```c\nint i;\n```";

        Assert.That(new ScriptedChat(new ScriptedAnswer(Markdown)).Run("one").Output, Is.EqualTo(Markdown + "\n"));
    }

    [TestCase("temperature 0.5", "temperature is 0.5")]
    [TestCase("temperature", "temperature is default")]
    [TestCase("temperature 7", "temperature is 7")]
    [TestCase("temperature -1", "temperature is '-1'; it must be a number of at least 0 (0 is greedy)")]
    [TestCase("temperature 0,5", "temperature is '0,5'; it must be a number of at least 0 (0 is greedy)")]
    [TestCase("top-p 0", "top-p is '0'; it must be above 0 and at most 1 (off)")]
    [TestCase("top-k 2000", "top-k is '2000'; it must be from 0 (off) to 1024")]
    [TestCase("seed 18446744073709551615", "seed is 18446744073709551615")]
    [TestCase("seed -1", "seed is '-1'; it must be a whole number from 0 to 2^64 - 1")]
    [TestCase("max-tokens 0", "max-tokens is '0'; it must be a whole number from 1 to 2147483647")]
    [TestCase("max-tokens 64", "max-tokens is 64")]
    [TestCase("preset coding", "preset is coding")]
    [TestCase("preset poetry", "preset is 'poetry'; it must be default or thinking or coding or non-thinking")]
    [TestCase("thinking off", "thinking is off")]
    [TestCase("on-full stop", "on-full is stop")]
    public void SetHasTheNamesAndRangesOfTheOptions(string setting, string news) =>
        Assert.That(new ScriptedChat().Run($"/set {setting}").News, Is.EqualTo(new[] { news }));

    [Test]
    public void SetChangesWhatTheModelIsAskedWith()
    {
        var chat = new ScriptedChat();
        chat.Settings.Generation = new GenerationOptions { Sampling = new SamplingOptions { TopK = 5, Temperature = 1 } };
        chat.Run("/set temperature 0.5", "/set top-k default", "/set min-p 0.25", "/set preset coding", "/set thinking off", "/set seed 3");

        SamplingOptions sampling = chat.Settings.Generation.Sampling!;
        Assert.That((sampling.Temperature, sampling.TopK, sampling.MinP, sampling.Seed), Is.EqualTo(((float?)0.5f, (int?)null, (float?)0.25f, (ulong?)3)));
        Assert.That(sampling.Preset, Is.SameAs(SamplingPreset.Coding));
        Assert.That(chat.Settings.Template.EnableThinking, Is.False);
    }

    [Test]
    public void SetListsWhatThereIs()
    {
        string list = new ScriptedChat().Run("/set max-tokens 64", "/set").Error;

        Assert.That(list, Does.Match(@"(?m)^  max-tokens +64 +a whole number from 1 to 2147483647$"));
        Assert.That(list, Does.Match(@"(?m)^  temperature +default +a number of at least 0"));
    }
}
