using System.Text.Json.Nodes;

namespace QwenIlgpu.Tests;

/// <summary>Updates of tokens that a test has drawn.</summary>
[NonParallelizable]
internal sealed class UpdateReaderTests
{
    private const string Call = "<tool_call>\n<function=add>\n<parameter=a>\n1\n</parameter>\n<parameter=b>\n2\n</parameter>\n</function>\n</tool_call>";

    private static readonly ToolSchemas Tools = ToolSchemas.Of(
        JsonNode.Parse("""[{"function": {"name": "add", "parameters": {"properties": {"a": {"type": "integer"}, "b": {"type": "string"} } } } }]""")!.AsArray());

    [Test]
    public async Task CallsComeLastAndWhole()
    {
        List<GenerationUpdate> updates = await ReadAsync($"Hm.\n</think>\n\nI add.\n\n{Call}\n{Call}<|im_end|>", FinishReason.Stop);

        Assert.That(TextOf(updates, TextKind.Reasoning), Is.EqualTo("Hm."));
        Assert.That(TextOf(updates, TextKind.Answer), Is.EqualTo("I add."));
        Assert.That(updates.SkipLast(1), Has.All.Matches<GenerationUpdate>(u => u!.ToolCalls.Count == 0 && u.FinishReason is null && u.Text.Length > 0));
        Assert.That(updates[^1].FinishReason, Is.EqualTo(FinishReason.ToolCalls));
        Assert.That(updates[^1].ToolCalls.Select(c => $"{c.Name} {c.Arguments.ToJsonString()}"), Is.EqualTo(Enumerable.Repeat("""add {"a":1,"b":"2"}""", 2)));
        Assert.That(updates[^1].ToolCalls.Select(c => c.Id), Is.Unique.And.All.Not.Null);
    }

    [TestCase(Call, FinishReason.Length, FinishReason.Length, 1)]
    [TestCase(Call + "\nDone.", FinishReason.Stop, FinishReason.ToolCalls, 1)]
    [TestCase(Call + "STOP" + Call, FinishReason.Length, FinishReason.ToolCalls, 1)]
    [TestCase("<tool_call>\n<function=add>\nSTOP", FinishReason.Length, FinishReason.Stop, 0)]
    [TestCase("Done.", FinishReason.Stop, FinishReason.Stop, 0)]
    public async Task TheReasonTellsWhetherResultsAreWaitedFor(string answer, FinishReason drawn, FinishReason expected, int calls)
    {
        List<GenerationUpdate> updates = await ReadAsync($"</think>{answer}", drawn);

        Assert.That((updates[^1].FinishReason, updates[^1].ToolCalls.Count), Is.EqualTo((expected, calls)));
        Assert.That(updates[^1].Usage!.ReasoningTokens, Is.EqualTo(1));
    }

    [Test]
    public async Task ACallThatIsCutOffIsText()
    {
        string cut = Call[..^5];

        List<GenerationUpdate> updates = await ReadAsync($"</think>\n\nI add.\n\n{Call}\n{cut}", FinishReason.Length);

        Assert.That(TextOf(updates, TextKind.Answer), Is.EqualTo($"I add.\n\n{cut}"));
        Assert.That((updates[^1].FinishReason, updates[^1].ToolCalls.Count), Is.EqualTo(((FinishReason?)FinishReason.Length, 1)));
    }

    [Test]
    public async Task EveryIdComesOnce()
    {
        int[] ids = TestModels.Tiny.Tokenizer.Encode($"a</think>b{Call}c", parseSpecial: true);

        List<GenerationUpdate> updates = await ReadAsync($"a</think>b{Call}c", FinishReason.Stop);

        Assert.That(updates.SelectMany(u => u.TokenIds), Is.EqualTo(ids));
    }

    [Test]
    public async Task ToolsReachTheTemplateAndACallGoesBackIntoTheConversation()
    {
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { ContextTokens = 1024 });
        PromptToolCall call = (await ReadAsync($"</think>{Call}<|im_end|>", FinishReason.Stop))[^1].ToolCalls[0];
        var template = new ChatTemplateOptions { Tools = [JsonNode.Parse("""{"type": "function", "function": {"name": "add"}}""")] };
        PromptMessage[] messages = [PromptMessage.User("Add."), PromptMessage.Assistant("") with { ToolCalls = [call] }, PromptMessage.Tool("3")];

        List<GenerationUpdate> updates = [];
        await foreach (GenerationUpdate update in engine.GenerateAsync(messages, template, new GenerationOptions { MaxTokens = 2 }))
            updates.Add(update);

        Assert.That(TestModels.Tiny.Detokenize(TestModels.Tiny.IdsOf(messages, template)), Does.Contain("<tools>").And.Contain(Call));
        Assert.That(updates[^1].ToolCalls, Is.Empty);
        Assert.That(TestModels.Tiny.ToolsOf(template), Is.Not.Null);
        Assert.That(TestModels.Tiny.ToolsOf(new ChatTemplateOptions { Tools = [] }), Is.Null);
    }

    private static string TextOf(List<GenerationUpdate> updates, TextKind kind) => string.Concat(updates.Where(u => u.Kind == kind).Select(u => u.Text));

    private static async Task<List<GenerationUpdate>> ReadAsync(string output, FinishReason reason)
    {
        QwenTokenizer tokenizer = TestModels.Tiny.Tokenizer;
        int[] ids = tokenizer.Encode(output, parseSpecial: true);
        var stream = new TokenStream(ids.Length, -1);
        stream.Begin(1);
        foreach (int id in ids)
            stream.Write(id, 1, 0, [], []);
        stream.Complete(reason);
        var parser = new OutputParser(tokenizer, ["STOP"], ThinkMarkers.Qwen, Tools, tokenizer.Encode("<think>\n", parseSpecial: true));
        var reader = new UpdateReader(TestModels.Tiny, stream, parser, default);
        List<GenerationUpdate> updates = [];
        while (await reader.ReadAsync() is { } update)
            updates.Add(update);
        updates.Add(reader.End(1, 0, ResolvedSampling.Resolve(new SamplingOptions { Temperature = 0 }, null, 2048, static _ => true, static () => 1), 1));
        return updates;
    }
}
