using System.Text.Json;
using Microsoft.Extensions.AI;
using static QwenIlgpu.Tests.ScriptedAnswer;

namespace QwenIlgpu.Tests;

/// <summary>Conversations as the template is given them.</summary>
internal sealed class ChatMessageTests
{
    [Test]
    public async Task InstructionsAndWhatTheSystemSaysFirstAreOneMessage()
    {
        IReadOnlyList<PromptMessage> read = await ReadAsync(
            [new(ChatRole.System, "Be terse."), new(new ChatRole("developer"), "No jokes."), new(ChatRole.User, "hi"), new(ChatRole.System, "Now in verse.")],
            new ChatOptions { Instructions = "You are a fox." });

        Assert.That(read.Select(m => (m.Role, m.Content)), Is.EqualTo(new[]
        {
            ("system", "You are a fox.\n\nBe terse.\n\nNo jokes."), ("user", "hi"), ("system", "Now in verse."),
        }));
    }

    [Test]
    public async Task ThoughtsTextAndCallsOfAnAnswerGoBackApart()
    {
        var arguments = new Dictionary<string, object?> { ["city"] = "Oslo", ["days"] = 3, ["exact"] = JsonSerializer.SerializeToElement(1.50m) };

        IReadOnlyList<PromptMessage> read = await ReadAsync(
        [
            new(ChatRole.User, [new TextContent("What "), new TextContent("weather?")]),
            new(ChatRole.Assistant, [new TextReasoningContent("Hm."), new TextContent("Let me see."), new FunctionCallContent("c1", "weather", arguments)]),
            new(ChatRole.Tool, [new FunctionResultContent("c1", "sunny")]),
        ]);

        Assert.That(read.Select(m => (m.Role, m.Content, m.ReasoningContent)), Is.EqualTo(new[]
        {
            ("user", "What weather?", (string?)null), ("assistant", "Let me see.", "Hm."), ("tool", "sunny", null),
        }));
        PromptToolCall call = read[1].ToolCalls.Single();
        Assert.That((call.Id, call.Name, call.Arguments.ToJsonString()), Is.EqualTo(("c1", "weather", """{"city":"Oslo","days":3,"exact":1.50}""")));
    }

    [Test]
    public async Task ResultsOfOneMessageStandInTheOrderOfTheirCalls()
    {
        IReadOnlyList<PromptMessage> read = await ReadAsync(
        [
            new(ChatRole.Assistant, [new FunctionCallContent("a", "f"), new FunctionCallContent("b", "f"), new FunctionCallContent("c", "f")]),
            new(ChatRole.Tool,
            [
                new FunctionResultContent("c", new { Degrees = 3, Wind = new[] { 1, 2 } }), new FunctionResultContent("a", null), new FunctionResultContent("b", 7),
            ]),
        ]);

        Assert.That(read.Skip(1).Select(m => (m.Role, m.Content)), Is.EqualTo(new[] { ("tool", ""), ("tool", "7"), ("tool", """{"degrees":3,"wind":[1,2]}""") }));
    }

    [Test]
    public async Task AMessageWithoutContentsIsEmpty() =>
        Assert.That((await ReadAsync([new(ChatRole.User, (IList<AIContent>)[])])).Single(), Is.EqualTo(PromptMessage.User("")).Using<PromptMessage>((a, b) => a.Content == b.Content));

    private static IEnumerable<TestCaseData> Refused()
    {
        yield return new TestCaseData(new DataContent(new byte[] { 1 }, "image/png"), "messages[1].Contents[1] of the user is a DataContent (image/png)");
        yield return new TestCaseData(new UriContent("https://a/b.png", "image/png"), "messages[1].Contents[1] of the user is a UriContent (image/png)");
        yield return new TestCaseData(new TextReasoningContent("hm"), "messages[1].Contents[1] of the user is a TextReasoningContent");
    }

    [TestCaseSource(nameof(Refused))]
    public void WhatTheModelDoesNotTakeIsRefusedByPlace(AIContent content, string message)
    {
        var script = new ScriptedAnswer([End()]);

        NotSupportedException error = Assert.Throws<NotSupportedException>(() => script.Client.GetStreamingResponseAsync(
            [new(ChatRole.Assistant, "a"), new(ChatRole.User, [new TextContent("look"), content])]))!;

        Assert.That(error.Message, Does.Contain(message));
    }

    private static async Task<IReadOnlyList<PromptMessage>> ReadAsync(ChatMessage[] messages, ChatOptions? options = null)
    {
        var script = new ScriptedAnswer([End()]);
        await script.Client.GetResponseAsync(messages, options);
        return script.Requests.Single().Messages;
    }
}
