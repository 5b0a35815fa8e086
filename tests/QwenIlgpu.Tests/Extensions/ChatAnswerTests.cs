using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;
using QwenIlgpu.Extensions.AI;
using static QwenIlgpu.Tests.ScriptedAnswer;

namespace QwenIlgpu.Tests;

/// <summary>Answers as clients see them, of scripted engines and of the built-in model.</summary>
[NonParallelizable]
internal sealed class ChatAnswerTests
{
    private static readonly ChatMessage[] Question = [new(ChatRole.User, "What is the capital of Norway?")];

    [Test]
    public async Task AnAnswerIsThoughtsTextCallsAndOneUsage()
    {
        var script = new ScriptedAnswer(
        [
            Text("Hm", TextKind.Reasoning), Text("."), Text(""), Text("It is"), Text(" sunny."),
            End(FinishReason.ToolCalls, Call("c1", "weather", """{"city": "Oslo", "days": 3}"""), Call("c2", "time", "{}")),
        ]);

        ChatResponseUpdate[] updates = [.. await ToListAsync(script.Client.GetStreamingResponseAsync(Question))];

        Assert.That(updates[0].ResponseId, Does.StartWith("chatcmpl-"));
        Assert.That(updates.SelectMany(u => new[] { u.MessageId, u.ResponseId }), Is.All.EqualTo(updates[0].ResponseId));
        Assert.That(updates, Is.All.Matches<ChatResponseUpdate>(u => u!.Role == ChatRole.Assistant && u.ModelId == "tiny" && u.CreatedAt is not null && u.ConversationId is null));
        Assert.That(updates.SelectMany(u => u.Contents).Select(c => c.GetType().Name), Is.EqualTo(new[]
        {
            "TextReasoningContent", "TextContent", "TextContent", "TextContent", "FunctionCallContent", "FunctionCallContent", "UsageContent",
        }));
        Assert.That(updates.Select(u => u.FinishReason), Is.EqualTo(new ChatFinishReason?[] { null, null, null, null, null, null, ChatFinishReason.ToolCalls }));
        ChatResponse response = updates.ToChatResponse();
        FunctionCallContent call = response.Messages.Single().Contents.OfType<FunctionCallContent>().First();
        Assert.That((call.CallId, call.Name, call.Exception), Is.EqualTo(("c1", "weather", (Exception?)null)));
        Assert.That(call.Arguments!.Select(a => $"{a.Key} {((JsonElement)a.Value!).GetRawText()}"), Is.EqualTo(new[] { "city \"Oslo\"", "days 3" }));
        Assert.That(
            (response.Usage!.InputTokenCount, response.Usage.OutputTokenCount, response.Usage.TotalTokenCount, response.Usage.CachedInputTokenCount, response.Usage.ReasoningTokenCount),
            Is.EqualTo(((long?)10, (long?)6, (long?)16, (long?)4, (long?)2)));
        string json = JsonSerializer.Serialize(updates, AIJsonUtilities.DefaultOptions);
        Assert.That(
            JsonSerializer.Serialize(JsonSerializer.Deserialize<ChatResponseUpdate[]>(json, AIJsonUtilities.DefaultOptions), AIJsonUtilities.DefaultOptions), Is.EqualTo(json));
    }

    [TestCase(ReasoningOutput.None, "text")]
    [TestCase(ReasoningOutput.Full, "thought text")]
    [TestCase(ReasoningOutput.Summary, "thought text")]
    public async Task ThoughtsAreToldUnlessTheyAreNotWanted(ReasoningOutput output, string told)
    {
        var script = new ScriptedAnswer([Text("thought ", TextKind.Reasoning), Text("text"), End()]);

        ChatResponse response = await script.Client.GetResponseAsync(Question, new ChatOptions { Reasoning = new ReasoningOptions { Output = output } });

        Assert.That(
            string.Concat(response.Messages.Single().Contents.Select(c => c is TextReasoningContent thought ? thought.Text : ((TextContent)c).Text)), Is.EqualTo(told));
    }

    [Test]
    public async Task OneCallIsToldWhereSeveralAreNotAllowed()
    {
        var script = new ScriptedAnswer([End(FinishReason.ToolCalls, Call("c1", "f", "{}"), Call("c2", "f", "{}"))]);

        ChatResponse response = await script.Client.GetResponseAsync(Question, new ChatOptions { AllowMultipleToolCalls = false });

        Assert.That(response.Messages.Single().Contents.OfType<FunctionCallContent>().Select(c => c.CallId), Is.EqualTo(new[] { "c1" }));
    }

    [Test]
    public async Task AnEmptyAnswerStillHasAnUpdateWithUsageAndReason()
    {
        ChatResponseUpdate update = (await ToListAsync(new ScriptedAnswer([End(FinishReason.Length)]).Client.GetStreamingResponseAsync(Question))).Single();

        Assert.That((update.FinishReason, update.Contents.Single()), Is.EqualTo((ChatFinishReason.Length, update.Contents.OfType<UsageContent>().Single())));
    }

    // Both calls are invoked, and their results come back as one message with two contents.
    [Test]
    public async Task FunctionsAreInvokedAndTheirResultsReadInOrder()
    {
        var script = new ScriptedAnswer(
            [Text("Let me add."), End(FinishReason.ToolCalls, Call("c1", "add", """{"a": 1, "b": 2}"""), Call("c2", "add", """{"a": 30, "b": 4}"""))],
            [Text("3 and 34."), End()]);
        AIFunction add = AIFunctionFactory.Create((int a, int b) => a + b, "add");
        using IChatClient client = script.Client.AsBuilder().UseFunctionInvocation().Build();

        ChatResponse response = await client.GetResponseAsync(Question, new ChatOptions { Tools = [add] });

        Assert.That(response.Text, Does.EndWith("3 and 34."));
        Assert.That(script.Requests[1].Messages.Select(m => (m.Role, m.Content)), Is.EqualTo(new[]
        {
            ("user", "What is the capital of Norway?"), ("assistant", "Let me add."), ("tool", "3"), ("tool", "34"),
        }));
        Assert.That(script.Requests[1].Messages[1].ToolCalls.Select(c => c.Id), Is.EqualTo(new[] { "c1", "c2" }));
        Assert.That(response.Usage!.InputTokenCount, Is.EqualTo(20), "the usage of both requests, each once");
    }

    [Test]
    public async Task TheBuiltInModelAnswers()
    {
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { MaxSequences = 2, ContextTokens = 512 });
        using var client = new QwenChatClient(engine);
        var options = new ChatOptions { Temperature = 0, MaxOutputTokens = 24, Reasoning = new ReasoningOptions { Effort = ReasoningEffort.None } };

        ChatResponse response = await client.GetResponseAsync(Question, options);

        Assert.That(response.Text, Is.EqualTo("The capital of Norway is Oslo."));
        Assert.That(response.FinishReason, Is.EqualTo(ChatFinishReason.Stop));
        Assert.That((response.Usage!.InputTokenCount > 1, response.Usage.OutputTokenCount > 1), Is.EqualTo((true, true)));
        Assert.That(response.ModelId, Is.EqualTo("tiny-qwen3.6"));
        Assert.That(client.GetService<Engine>(), Is.SameAs(engine));
        Assert.That(client.GetService<ChatClientMetadata>()!.DefaultModelId, Is.EqualTo("tiny-qwen3.6"));
        Assert.That(client.GetService<IChatClient>(), Is.SameAs(client));
        Assert.That(client.GetService(typeof(Engine), "key"), Is.Null);
    }

    [Test]
    public async Task ManyRequestsAtOnceAreEachAlone()
    {
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { MaxSequences = 8, ContextTokens = 256 });
        using var client = new QwenChatClient(engine);

        ChatResponse[] together = await Task.WhenAll(Enumerable.Range(0, 24).Select(AskAsync));

        for (int i = 0; i < together.Length; i++)
            Assert.That(together[i].Text, Is.EqualTo((await AskAsync(i)).Text), $"request {i}");

        Task<ChatResponse> AskAsync(int i) => client.GetResponseAsync(
            $"What is {i} + 5?", new ChatOptions { Temperature = 1, Seed = i, MaxOutputTokens = 12, Reasoning = new ReasoningOptions { Effort = ReasoningEffort.None } });
    }

    [Test]
    public async Task ACancelledAnswerEndsWithItsToken()
    {
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { MaxSequences = 1, ContextTokens = 512 });
        using var client = new QwenChatClient(engine);
        using var cancel = new CancellationTokenSource();
        var options = new ChatOptions { MaxOutputTokens = 400, RawRepresentationFactory = _ => new GenerationOptions { IgnoreEos = true } };

        Assert.That(
            async () =>
            {
                await foreach (ChatResponseUpdate _ in client.GetStreamingResponseAsync(Question, options, cancel.Token))
                    await cancel.CancelAsync();
            },
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That((await client.GetResponseAsync(Question, new ChatOptions { MaxOutputTokens = 2 })).FinishReason, Is.EqualTo(ChatFinishReason.Length));
    }

    private static PromptToolCall Call(string id, string name, string arguments) => new(name, JsonNode.Parse(arguments)!.AsObject()) { Id = id };

    private static async Task<List<ChatResponseUpdate>> ToListAsync(IAsyncEnumerable<ChatResponseUpdate> updates)
    {
        var list = new List<ChatResponseUpdate>();
        await foreach (ChatResponseUpdate update in updates)
            list.Add(update);
        return list;
    }
}
