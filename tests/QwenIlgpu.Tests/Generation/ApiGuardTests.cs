using System.Text.Json.Nodes;

namespace QwenIlgpu.Tests;

/// <summary>What callers get wrong is said in the call, by the name of its parameter; what they cancel is theirs.</summary>
[NonParallelizable]
internal sealed class ApiGuardTests
{
    private static readonly int[] Prompt = TestModels.Tiny.Tokenize("Once upon a time there was a");

    private static readonly PromptMessage[] Messages = [PromptMessage.User("Hello.")];

    private static readonly (string Parameter, string Message, Action<Engine> Call)[] Wrong =
    [
        ("model", "", _ => new Engine(null!)),
        ("options", "MaxSequences is 0", _ => new Engine(TestModels.Tiny, new EngineOptions { MaxSequences = 0 })),
        ("options", "MaxQueuedRequests is -1", _ => new Engine(TestModels.Tiny, new EngineOptions { MaxQueuedRequests = -1 })),
        ("promptIds", "is empty", e => e.GenerateAsync(Array.Empty<int>())),
        ("promptIds", "2048 at index 1", e => e.GenerateAsync(new[] { 1, 2048 })),
        ("promptIds", "-1 at index 0", e => e.GenerateAsync(new[] { -1 })),
        ("promptIds", "65 tokens", e => e.GenerateAsync(new int[65])),
        ("text", "", e => e.GenerateAsync((string)null!)),
        ("text", "is empty", e => e.GenerateAsync("")),
        ("messages", "", e => e.GenerateAsync((PromptMessage[])null!)),
        ("messages", "messages[1] is null", e => e.GenerateAsync([Messages[0], null!])),
        ("messages", "messages[0].Role is null", e => e.GenerateAsync([new PromptMessage(null!, "x")])),
        ("messages", "messages[0].Role is empty; it must be one that the chat template knows", e => e.GenerateAsync([new PromptMessage("", "x")])),
        ("messages", "Unexpected message role.", e => e.GenerateAsync([PromptMessage.User("x"), new PromptMessage("bot", "x")])),
        ("messages", "messages[0].Content is null", e => e.GenerateAsync([PromptMessage.User(null!)])),
        ("messages", "messages[0].ToolCalls is null", e => e.GenerateAsync([Messages[0] with { ToolCalls = null! }])),
        ("messages", "messages[0].ToolCalls holds null", e => e.GenerateAsync([PromptMessage.Assistant("") with { ToolCalls = [null!] }])),
        ("messages", "whose Name is null", e => e.GenerateAsync([PromptMessage.Assistant("") with { ToolCalls = [new(null!, [])] }])),
        ("messages", "whose Arguments is null", e => e.GenerateAsync([PromptMessage.Assistant("") with { ToolCalls = [new("f", null!)] }])),
        ("messages", "", e => e.GenerateAsync(Array.Empty<PromptMessage>())),
        ("messages", "tokens, the context 64", e => e.GenerateAsync([PromptMessage.User(string.Concat(Enumerable.Repeat("cat dog ", 40)))])),
        ("template", "Tools holds null", e => e.GenerateAsync(Messages, new ChatTemplateOptions { Tools = new JsonArray((JsonNode?)null) })),
        ("template", "Variables holds messages", e => e.GenerateAsync(Messages, new ChatTemplateOptions { Variables = new JsonObject { ["messages"] = 1 } })),
        ("options", "MaxTokens is 0", e => e.GenerateAsync(Prompt, new GenerationOptions { MaxTokens = 0 })),
        ("options", "StopStrings is null", e => e.GenerateAsync(Prompt, new GenerationOptions { StopStrings = null! })),
        ("options", "StopStrings[1] is null", e => e.GenerateAsync(Prompt, new GenerationOptions { StopStrings = ["a", null!] })),
        ("options", "StopStrings[0] is an empty string", e => e.GenerateAsync(Prompt, new GenerationOptions { StopStrings = [""] })),
        ("options", "Temperature is NaN", e => e.GenerateAsync(Prompt, Sampled(new SamplingOptions { Temperature = float.NaN }))),
        ("options", "TopP is 2", e => e.GenerateAsync(Prompt, Sampled(new SamplingOptions { TopP = 2 }))),
        ("options", "TopLogProbs is 21", e => e.GenerateAsync(Prompt, Sampled(new SamplingOptions { TopLogProbs = 21 }))),
        ("options", "AllowedTokenIds is empty", e => e.GenerateAsync(Prompt, Sampled(new SamplingOptions { AllowedTokenIds = [] }))),
        ("options", "AllowedTokenIds names token 2048", e => e.GenerateAsync(Prompt, Sampled(new SamplingOptions { AllowedTokenIds = [1, 2048] }))),
        ("options", "LogitBias names token -1", e => e.GenerateAsync(Prompt, Biased(-1, 0))),
        ("options", "LogitBias of token 1 is NaN", e => e.GenerateAsync(Prompt, Biased(1, float.NaN))),
        ("options", "LogitBias forbids every token", e => e.GenerateAsync(Prompt, Sampled(new SamplingOptions
        {
            AllowedTokenIds = [7, 8],
            LogitBias = new Dictionary<int, float> { [7] = float.NegativeInfinity, [8] = float.NegativeInfinity },
        }))),
        ("ids", "is empty", e => e.ScoreAsync(Array.Empty<int>())),
        ("ids", "2048 at index 0", e => e.ScoreAsync(new[] { 2048 })),
        ("text", "", _ => TestModels.Tiny.Tokenize(null!)),
        ("messages", "", _ => TestModels.Tiny.CountTokens(null!)),
        ("messages", "messages[1] is null", _ => TestModels.Tiny.CountTokens([Messages[0], null!])),
        ("template", "Tools holds null", _ => TestModels.Tiny.CountTokens(Messages, new ChatTemplateOptions { Tools = new JsonArray((JsonNode?)null) })),
        ("path", "", _ => QwenModel.LoadAsync(null!)),
        ("path", "", _ => QwenModel.LoadAsync("")),
    ];

    [Test]
    public async Task WrongArgumentsAreRefusedInTheCallByTheirName([Range(0, 40)] int index)
    {
        (string parameter, string message, Action<Engine> call) = Wrong[index];
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { ContextTokens = 64 });

        ArgumentException error = Assert.Catch<ArgumentException>(() => call(engine))!;

        Assert.That(error.ParamName, Is.EqualTo(parameter));
        Assert.That(error.Message, Does.Contain(message));
        Assert.That(Wrong, Has.Length.EqualTo(43));
    }

    [TestCase(true, false)]
    [TestCase(false, false)]
    [TestCase(true, true)]
    [TestCase(false, true)]
    public async Task CancellationCarriesTheCallersOwnToken(bool ofTheCall, bool beforehand)
    {
        await using var engine = new Engine(TestModels.Tiny);
        using var call = new CancellationTokenSource();
        using var loop = new CancellationTokenSource();
        CancellationTokenSource cancelled = ofTheCall ? call : loop;
        var options = new GenerationOptions { Sampling = new SamplingOptions { Temperature = 0 }, IgnoreEos = true, MaxTokens = 4000 };
        if (beforehand)
            await cancelled.CancelAsync();

        OperationCanceledException? error = await Assert.CatchAsync<OperationCanceledException>(async () =>
        {
            await foreach (GenerationUpdate _ in engine.GenerateAsync(Prompt, options, call.Token).WithCancellation(loop.Token))
                await cancelled.CancelAsync();
        });

        Assert.That(error!.CancellationToken, Is.EqualTo(cancelled.Token));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task CancelledScoresCarryTheCallersOwnToken(bool beforehand)
    {
        await using var engine = new Engine(TestModels.Tiny);
        using var cancelled = new CancellationTokenSource();
        if (beforehand)
            await cancelled.CancelAsync();

        Task<float[]> scores = engine.ScoreAsync(new int[700], cancelled.Token);
        await cancelled.CancelAsync();

        OperationCanceledException? error = await Assert.CatchAsync<OperationCanceledException>(async () => await scores);
        Assert.That(error!.CancellationToken, Is.EqualTo(cancelled.Token));
        Assert.That(scores.IsCanceled, Is.True);
    }

    [Test]
    public async Task CancelledLoadsCarryTheCallersOwnToken()
    {
        using var cancelled = new CancellationTokenSource();
        var progress = new CancellingProgress(cancelled);

        OperationCanceledException? error = await Assert.CatchAsync<OperationCanceledException>(
            async () => await QwenModel.LoadAsync(TestData.TinyModel, new ModelOptions { Device = TestModels.Device }, progress, cancelled.Token));

        Assert.That(error!.CancellationToken, Is.EqualTo(cancelled.Token));
    }

    private static GenerationOptions Sampled(SamplingOptions sampling) => new() { Sampling = sampling };

    private static GenerationOptions Biased(int id, float bias) => Sampled(new SamplingOptions { LogitBias = new Dictionary<int, float> { [id] = bias } });

    private sealed class CancellingProgress(CancellationTokenSource source) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => source.Cancel();
    }
}
