using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;
using static QwenIlgpu.Tests.ScriptedAnswer;

namespace QwenIlgpu.Tests;

/// <summary>Each option of a request: what becomes of it, or how it is refused.</summary>
internal sealed class ChatOptionsTests
{
    [Test]
    public async Task SamplingAndLimitsReachTheEngine()
    {
        Asked asked = await AskAsync(new ChatOptions
        {
            Temperature = 0.5f, TopP = 0.9f, TopK = 17, Seed = 42, FrequencyPenalty = 0.25f, PresencePenalty = -0.5f, MaxOutputTokens = 33,
            StopSequences = ["END", "\n\n"], ModelId = "tiny",
            AdditionalProperties = new()
            {
                ["min_p"] = 0.05, ["repetition_penalty"] = 1.1f, ["top_logprobs"] = 3, ["logit_bias"] = new Dictionary<string, double> { ["5"] = -100, ["6"] = 1.5 },
            },
        });

        SamplingOptions sampling = asked.Options.Sampling!;
        Assert.That(
            (sampling.Temperature, sampling.TopP, sampling.TopK, sampling.Seed, sampling.FrequencyPenalty, sampling.PresencePenalty, sampling.MinP,
                sampling.RepetitionPenalty, sampling.TopLogProbs),
            Is.EqualTo(((float?)0.5f, (float?)0.9f, (int?)17, (ulong?)42, (float?)0.25f, (float?)-0.5f, (float?)0.05f, (float?)1.1f, (int?)3)));
        Assert.That(sampling.LogitBias, Is.EquivalentTo(new Dictionary<int, float> { [5] = -100, [6] = 1.5f }));
        Assert.That(asked.Options.MaxTokens, Is.EqualTo(33));
        Assert.That(asked.Options.StopStrings, Is.EqualTo(new[] { "END", "\n\n" }));
    }

    // Else the checkpoint's own sampling would not hold.
    [Test]
    public async Task WithoutOptionsTheEnginesDefaultsHold()
    {
        Asked asked = await AskAsync(null);

        Assert.That(asked.Options, Is.EqualTo(new GenerationOptions()));
        Assert.That(asked.Template, Is.EqualTo(new ChatTemplateOptions()));
    }

    [Test]
    public async Task OurOwnOptionsAreTheGroundThatOthersChange()
    {
        var own = new GenerationOptions { MaxTokens = 7, IgnoreEos = true, StopStrings = ["x"], Sampling = new SamplingOptions { TopK = 5, Temperature = 1 } };

        Asked asked = await AskAsync(new ChatOptions { RawRepresentationFactory = _ => own, Temperature = 0 });

        Assert.That(asked.Options, Is.EqualTo(own with { Sampling = own.Sampling with { Temperature = 0 } }));
    }

    [TestCase(ReasoningEffort.None, false, null)]
    [TestCase(ReasoningEffort.Low, true, "low")]
    [TestCase(ReasoningEffort.Medium, true, "medium")]
    [TestCase(ReasoningEffort.High, true, "xhigh")]
    [TestCase(ReasoningEffort.ExtraHigh, true, "xhigh")]
    public async Task EffortTurnsThinkingOnOrOff(ReasoningEffort effort, bool thinks, string? word)
    {
        Asked asked = await AskAsync(new ChatOptions { Reasoning = new ReasoningOptions { Effort = effort } });

        Assert.That((asked.Template.EnableThinking, asked.Template.ReasoningEffort), Is.EqualTo(((bool?)thinks, word)));
    }

    [Test]
    public async Task TemplatesOptionsAreAdditionalProperties()
    {
        Asked asked = await AskAsync(new ChatOptions
        {
            AdditionalProperties = new()
            {
                ["enable_thinking"] = false, ["preserve_thinking"] = true, ["reasoning_effort"] = "medium", ["chat_template_kwargs"] = new JsonObject { ["language"] = "no" },
            },
        });

        Assert.That(
            (asked.Template.EnableThinking, asked.Template.PreserveThinking, asked.Template.ReasoningEffort, asked.Template.Variables!.ToJsonString()),
            Is.EqualTo(((bool?)false, (bool?)true, "medium", """{"language":"no"}""")));
    }

    [Test]
    public async Task FunctionsAreOfferedAsOpenAiWritesThem()
    {
        AIFunction add = AIFunctionFactory.Create((int a, int b) => a + b, "add", "Adds two numbers.");

        Asked asked = await AskAsync(new ChatOptions { Tools = [add], ToolMode = ChatToolMode.Auto });

        JsonNode function = asked.Template.Tools![0]!["function"]!;
        Assert.That((string?)asked.Template.Tools![0]!["type"], Is.EqualTo("function"));
        Assert.That(((string?)function["name"], (string?)function["description"]), Is.EqualTo(("add", "Adds two numbers.")));
        Assert.That(function["parameters"]!["properties"]!.AsObject().Select(p => p.Key), Is.EqualTo(new[] { "a", "b" }));
        Assert.That((await AskAsync(new ChatOptions { Tools = [add], ToolMode = ChatToolMode.None })).Template.Tools, Is.Null);
    }

    private static IEnumerable<TestCaseData> Refused()
    {
        yield return Case("ConversationId", new ChatOptions { ConversationId = "c" }, "ConversationId is not supported");
        yield return Case("AllowBackgroundResponses", new ChatOptions { AllowBackgroundResponses = true }, "AllowBackgroundResponses is not supported");
        yield return Case("RequireAny", new ChatOptions { ToolMode = ChatToolMode.RequireAny }, "ToolMode is not supported");
        yield return Case("RequireSpecific", new ChatOptions { ToolMode = ChatToolMode.RequireSpecific("add") }, "ToolMode is not supported");
        yield return Case("Json", new ChatOptions { ResponseFormat = ChatResponseFormat.Json }, "ResponseFormat is not supported");
        yield return Case("HostedTool", new ChatOptions { Tools = [new HostedWebSearchTool()] }, "Tools holds HostedWebSearchTool");
        yield return Case("Unknown", new ChatOptions { AdditionalProperties = new() { ["mirostat"] = 2 } }, "AdditionalProperties holds mirostat; known are min_p");
        yield return Case("ModelId", new ChatOptions { ModelId = "gpt" }, "ModelId is 'gpt'; this client has 'tiny'");
        yield return Case("Raw", new ChatOptions { RawRepresentationFactory = _ => "x" }, "RawRepresentationFactory gives a System.String");
        yield return Case("Type", new ChatOptions { AdditionalProperties = new() { ["min_p"] = "much" } }, "AdditionalProperties: min_p is \"much\"; it must be a number");
        yield return Case("Bias", new ChatOptions { AdditionalProperties = new() { ["logit_bias"] = new[] { 1 } } }, "logit_bias is [1]; it must be an object of token ids and numbers");

        static TestCaseData Case(string name, ChatOptions options, string message) => new TestCaseData(options, message).SetArgDisplayNames(name);
    }

    // By the call itself, before anything is generated.
    [TestCaseSource(nameof(Refused))]
    public void WhatCannotBeHonouredIsRefusedByName(ChatOptions options, string message)
    {
        var script = new ScriptedAnswer([End()]);

        Exception error = Assert.Catch(() => script.Client.GetStreamingResponseAsync([new ChatMessage(ChatRole.User, "hi")], options))!;

        Assert.That(error, Is.InstanceOf<NotSupportedException>().Or.InstanceOf<ArgumentException>());
        Assert.That(error.Message, Does.Contain(message));
        Assert.That(script.Requests, Is.Empty);
    }

    private static async Task<Asked> AskAsync(ChatOptions? options)
    {
        var script = new ScriptedAnswer([End()]);
        await script.Client.GetResponseAsync([new ChatMessage(ChatRole.User, "hi")], options);
        return script.Requests.Single();
    }
}
