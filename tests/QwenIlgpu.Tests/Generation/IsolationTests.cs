using ILGPU.Runtime;
using Microsoft.Extensions.Logging;

namespace QwenIlgpu.Tests;

/// <summary>What fails for one request's sake ends that request; what fails in the user's own code ends nothing.</summary>
[NonParallelizable]
internal sealed class IsolationTests
{
    private const int NoSuchId = 1 << 30;

    private static readonly int[] Prompt = TestModels.Tiny.Tokenize("Once upon a time there was a");

    private static SamplingOptions Greedy { get; } = new() { Temperature = 0 };

    // Past every check of the public surface: the host must still not let one of them reach a launch.
    [TestCase("prompt id")]
    [TestCase("bias")]
    [TestCase("mask")]
    [TestCase("scored id")]
    [TestCase("delivery")]
    [TestCase("memory")]
    public void ARequestThatCannotBeServedEndsAlone(string fault)
    {
        using var sequences = new SequenceRunner(TestModels.Tiny);
        var scheduler = new Scheduler(sequences.Runner);
        int[] expected = IdsOf(scheduler, Healthy());

        GenerationRequest beside = Healthy();
        IRequest[] broken = [.. Enumerable.Range(0, 9).Select(_ => Broken(fault))];
        scheduler.Enqueue(beside);
        foreach (IRequest request in broken)
            scheduler.Enqueue(request);

        Assert.That(IdsOf(scheduler, Healthy()), Is.EqualTo(expected), "nine more than there are slots have come and gone");
        Assert.That(Drain(beside), Is.EqualTo(expected));
        Assert.That(broken, Has.All.Matches<IRequest>(r => ErrorOf(r!) is not null));
        Assert.That(scheduler.Count, Is.Zero);
    }

    [TestCase(-1)]
    [TestCase(5)]
    public void SlotsAreCheckedBeforeALaunch(int slot)
    {
        using var sequences = new SequenceRunner(TestModels.Tiny);

        Assert.That(
            () => sequences.Runner.Run(StepKind.Prefill, [new StepSequence(slot, 0, Prompt, LogitsWanted.Last)]),
            Throws.ArgumentException.With.Message.EqualTo($"step: slot {slot} is not one of 0 to 4"));
    }

    [Test]
    public void PagesAndPositionsAreCheckedBeforeALaunch()
    {
        using var sequences = new SequenceRunner(TestModels.Tiny);
        int pages = sequences.Runner.State.Capacity.Pages;

        Assert.That(() => sequences.Runner.State.SetPages(1, [pages]), Throws.ArgumentException.With.Message.Contains($"page {pages} is not one of 0 to {pages - 1}"));
        Assert.That(() => sequences.Runner.State.SetPages(5, [1]), Throws.ArgumentException.With.Message.Contains("slot 5"));
        Assert.That(
            () => sequences.Runner.Run(StepKind.Prefill, [new StepSequence(1, 1020, Prompt, LogitsWanted.Last)]),
            Throws.ArgumentException.With.Message.Contains("leave its pages, which hold 1024"));
    }

    [Test]
    public async Task ALoggerThatThrowsEndsNothing()
    {
        await using QwenModel model = await QwenModel.LoadAsync(
            TestData.TinyModel, new ModelOptions { Device = TestModels.Device, LoggerFactory = new ThrowingLoggers(throwsAtOnce: false) });
        await using var engine = new Engine(model, new EngineOptions { MaxSequences = 1, ContextTokens = 1024, CacheTokens = 1024 });

        Assert.That(await AnswerOf(engine), Is.Not.Empty);
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task ALoggerThatThrowsKeepsNobodyFromAnEnginesFault(bool throwsAtOnce)
    {
        await using QwenModel model = await QwenModel.LoadAsync(
            TestData.TinyModel, new ModelOptions { Device = TestModels.Device, LoggerFactory = new ThrowingLoggers(throwsAtOnce) });
        model.Weights.Norm.Values.MemSet(model.Device.Stream, 0xff);
        model.Device.Synchronize();
        await using var engine = new Engine(model, new EngineOptions { MaxSequences = 1 }, new StepRunnerOptions(Checked: true));

        Assert.That(
            async () => await AnswerOf(engine),
            Throws.TypeOf<EngineStoppedException>().With.Message.StartsWith("the engine has stopped, a step failed on ").And.Message.Contains("NaN"));
        Assert.That(() => engine.GenerateAsync(Prompt), Throws.TypeOf<EngineStoppedException>());
    }

    [Test]
    public async Task ProgressThatThrowsEndsTheLoadAndNothingElse()
    {
        var broken = new TimeZoneNotFoundException("progress of the caller's");

        Assert.That(
            async () => await QwenModel.LoadAsync(TestData.TinyModel, new ModelOptions { Device = TestModels.Device }, new ThrowingProgress(broken)),
            Throws.Exception.SameAs(broken));
        await using QwenModel model = TestModels.Load(TestData.TinyModel);
        Assert.That(model.WeightBytes, Is.Positive);
    }

    private static GenerationRequest Healthy() => Request(Prompt, Greedy, 8);

    private static IRequest Broken(string fault) => fault switch
    {
        "prompt id" => Request([1, NoSuchId], Greedy, 8),
        "bias" => Request(Prompt, Greedy with { LogitBias = new Dictionary<int, float> { [-1] = 2 } }, 8),
        "mask" => Request(Prompt, Greedy with { AllowedTokenIds = [3, NoSuchId] }, 8),
        "scored id" => new ScoreRequest([1, 2, NoSuchId, 3]),
        "delivery" => new GenerationRequest(Prompt, 8, new HashSet<int>(), Resolved(Greedy), new TokenStream(2, -1)),
        "memory" => new GenerationRequest(Prompt, 8, new HashSet<int>(), Resolved(Greedy), new TokenStream(int.MaxValue, 20)),
        _ => throw new ArgumentException(fault),
    };

    private static Exception? ErrorOf(IRequest request) =>
        request is GenerationRequest generation ? generation.Stream.Error : ((ScoreRequest)request).Scores.Exception;

    private static GenerationRequest Request(int[] prompt, SamplingOptions sampling, int maxTokens) =>
        new(prompt, maxTokens, new HashSet<int>(), Resolved(sampling), new TokenStream(maxTokens, -1));

    // As the engine resolves options, but for the checks of ids.
    private static ResolvedSampling Resolved(SamplingOptions sampling) =>
        ResolvedSampling.Resolve(sampling with { LogitBias = null, AllowedTokenIds = null }, null, 2048, _ => true, () => 0) with
        {
            LogitBias = sampling.LogitBias, AllowedTokenIds = sampling.AllowedTokenIds,
        };

    private static int[] IdsOf(Scheduler scheduler, GenerationRequest request)
    {
        scheduler.Enqueue(request);
        do
        {
            scheduler.Update();
        }
        while (scheduler.Step());
        return Drain(request);
    }

    private static int[] Drain(GenerationRequest request)
    {
        Assert.That(request.Stream.Error, Is.Null);
        return [.. Enumerable.Range(0, request.GeneratedTokens).Select(i => request.Stream[i])];
    }

    private static async Task<string> AnswerOf(Engine engine)
    {
        string text = "";
        await foreach (GenerationUpdate update in engine.GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy, MaxTokens = 5 }))
            text += update.Text;
        return text;
    }

    private sealed class ThrowingProgress(Exception error) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => throw error;
    }

    private sealed class ThrowingLoggers(bool throwsAtOnce) : ILoggerFactory, ILogger
    {
        public ILogger CreateLogger(string categoryName) => throwsAtOnce ? throw Error() : this;

        public void AddProvider(ILoggerProvider provider) => throw Error();

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => throw Error();

        public bool IsEnabled(LogLevel logLevel) => logLevel == LogLevel.Debug ? throw Error() : true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            throw Error();

        public void Dispose() => throw Error();

        private static TimeZoneNotFoundException Error() => new("a logger of the caller's");
    }
}
