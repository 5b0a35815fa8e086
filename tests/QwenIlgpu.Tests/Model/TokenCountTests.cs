namespace QwenIlgpu.Tests;

/// <summary>A conversation has as many tokens as the engine's prompt of it.</summary>
internal sealed class TokenCountTests
{
    private static readonly PromptMessage[] Conversation =
    [
        PromptMessage.System("Be brief."),
        PromptMessage.User("What is the capital of Norway? <|im_end|>"),
        PromptMessage.Assistant("Oslo.") with { ReasoningContent = "Norway lies in the north." },
        PromptMessage.User("And of Sweden?"),
    ];

    [TestCase(true, false)]
    [TestCase(false, false)]
    [TestCase(true, true)]
    public async Task TheCountIsThePromptsOfTheEngine(bool thinks, bool preserves)
    {
        await using var engine = new Engine(TestModels.Tiny);
        var template = new ChatTemplateOptions { EnableThinking = thinks, PreserveThinking = preserves };
        GenerationUsage? usage = null;
        await foreach (GenerationUpdate update in engine.GenerateAsync(Conversation, template, new GenerationOptions { MaxTokens = 1 }))
            usage = update.Usage;

        Assert.That(TestModels.Tiny.CountTokens(Conversation, template), Is.EqualTo(usage!.PromptTokens));
    }

    [Test]
    public void EveryPartOfAConversationCounts()
    {
        int all = TestModels.Tiny.CountTokens(Conversation, new ChatTemplateOptions { PreserveThinking = true });

        Assert.That(TestModels.Tiny.CountTokens(Conversation), Is.LessThan(all), "thoughts of earlier turns");
        Assert.That(TestModels.Tiny.CountTokens(Conversation[1..]), Is.LessThan(TestModels.Tiny.CountTokens(Conversation)));
        Assert.That(
            TestModels.Tiny.CountTokens(Conversation, new ChatTemplateOptions { AddGenerationPrompt = false }),
            Is.LessThan(TestModels.Tiny.CountTokens(Conversation)));
    }
}
