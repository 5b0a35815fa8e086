using System.Diagnostics;
using Microsoft.Extensions.Logging;

namespace QwenIlgpu.Tests;

/// <summary>Who becomes live when, who is refused, and what is said of it.</summary>
[NonParallelizable]
internal sealed class AdmissionTests
{
    private static readonly int[] Prompt = TestModels.Tiny.Tokenize("Once upon a time there was a");

    private static GenerationOptions Short { get; } = new() { Sampling = new SamplingOptions { Temperature = 0 }, MaxTokens = 3, IgnoreEos = true };

    private static GenerationOptions Long { get; } = Short with { MaxTokens = 4000 };

    [Test]
    public async Task ALargeRequestLeavesPagesForOthers()
    {
        await using var engine = new Engine(TestModels.Tiny);
        await using IAsyncEnumerator<GenerationUpdate> large = engine.GenerateAsync(Prompt, Long).GetAsyncEnumerator();
        Assert.That(await large.MoveNextAsync(), Is.True);

        // Would wait for the end of the large one, 4,000 tokens away.
        await Run(engine, Short);

        Assert.That(engine.CacheTokens, Is.EqualTo(4 * engine.ContextTokens));
        Assert.That(large.Current.FinishReason, Is.Null);
    }

    [TestCase(4, 0, long.MaxValue, 4 * 64, TestName = "CacheHoldsEverySequence")]
    [TestCase(4, 0, 100 * 64 * 1024L, 100, TestName = "CacheIsWhatTheMemoryAllows")]
    [TestCase(4, 0, 1, 64, TestName = "CacheHoldsOneSequenceAtLeast")]
    [TestCase(4, 5000, 1, 79, TestName = "CacheIsWhatWasAskedFor")]
    [TestCase(64, 0, long.MaxValue, 64 * 64, TestName = "CacheOfSixtyFourSequences")]
    public void DefaultCache(int sequences, int cacheTokens, long budgetBytes, int pages)
    {
        // 2 attention layers · (keys + values) · 2 heads · 64 · 2 bytes = 1,024 bytes a token; 4,096 tokens of context are 64 pages.
        EngineCapacity capacity = new EngineOptions { MaxSequences = sequences, CacheTokens = cacheTokens }.Resolve(TestModels.Tiny.Config, budgetBytes);

        Assert.That(capacity.Pages, Is.EqualTo(pages + 1), "and the reserved one");
        Assert.That(capacity.CacheTokens, Is.EqualTo(pages * 64));
    }

    [Test]
    public void CachesThatDoNotFitAreRefusedWithBothSizes()
    {
        var options = new EngineOptions { CacheTokens = int.MaxValue, KvType = KvType.F32 };

        InsufficientMemoryException error = Assert.Throws<InsufficientMemoryException>(() => new Engine(TestModels.Tiny, options))!;

        // 2^31 tokens of 2,048 bytes, and what four sequences have besides.
        Assert.That(error.Message, Does.Match(@"cache of \d+ tokens in F32 takes 439[89]\d{9} bytes \(.+\); .+ has \d+ bytes for it\. .+ that fits is 4096 tokens; lower CacheTokens, ContextTokens or MaxSequences"));
    }

    [TestCase(0)]
    [TestCase(2)]
    public async Task OneRequestTooManyIsRefusedAndTheOthersAreNot(int queued)
    {
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { MaxSequences = 1, MaxQueuedRequests = queued });
        (CancellationTokenSource Leave, Task Run)[] taken = [.. Enumerable.Range(0, 1 + queued).Select(_ => Begin())];

        AssertFull();
        Assert.That(async () => await engine.ScoreAsync(Prompt), Throws.TypeOf<EngineQueueFullException>());

        // Each that leaves, waiting or live, makes room for one, at once.
        for (int i = queued; i >= 0; i--)
        {
            await taken[i].Leave.CancelAsync();
            Assert.That(async () => await taken[i].Run, Throws.InstanceOf<OperationCanceledException>());
            taken[i] = Begin();
            AssertFull();
        }

        foreach ((CancellationTokenSource leave, _) in taken)
            await leave.CancelAsync();
        await Run(engine, Short);

        (CancellationTokenSource Leave, Task Run) Begin()
        {
            var leave = new CancellationTokenSource();
            return (leave, Run(engine, Long, leave.Token));
        }

        void AssertFull() => Assert.That(
            async () => await Run(engine, Short),
            Throws.TypeOf<EngineQueueFullException>().With.Message.Contains($"MaxSequences is 1, MaxQueuedRequests {queued}"));
    }

    [Test]
    public async Task UsageTellsQueueTimeApart()
    {
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { MaxSequences = 1 });
        IAsyncEnumerator<GenerationUpdate> busy = engine.GenerateAsync(Prompt, Long).GetAsyncEnumerator();
        Assert.That(await busy.MoveNextAsync(), Is.True);
        long start = Stopwatch.GetTimestamp();
        await using IAsyncEnumerator<GenerationUpdate> waiting = engine.GenerateAsync(Prompt, Short).GetAsyncEnumerator();
        ValueTask<bool> first = waiting.MoveNextAsync();
        long submitted = Stopwatch.GetTimestamp();
        Assert.That(await busy.MoveNextAsync(), Is.True, "a step or more");
        TimeSpan waited = Stopwatch.GetElapsedTime(submitted);
        await busy.DisposeAsync();

        GenerationUsage usage = await UsageOf(waiting, first);

        TimeSpan whole = Stopwatch.GetElapsedTime(start);
        Assert.That(usage.QueueTime, Is.GreaterThanOrEqualTo(waited));
        Assert.That(usage.QueueTime + usage.TimeToFirstToken + usage.DecodeTime, Is.LessThanOrEqualTo(whole));
    }

    [Test]
    public async Task ARequestThatWaitsForPagesIsLoggedOnce()
    {
        var loggers = new RecordingLoggers();
        await using QwenModel model = await QwenModel.LoadAsync(TestData.TinyModel, new ModelOptions { Device = TestModels.Device, LoggerFactory = loggers });
        await using var engine = new Engine(model, new EngineOptions { MaxSequences = 2, ContextTokens = 1024, CacheTokens = 1024 });
        IAsyncEnumerator<GenerationUpdate> busy = engine.GenerateAsync(Prompt, Short with { MaxTokens = 900 }).GetAsyncEnumerator();
        Assert.That(await busy.MoveNextAsync(), Is.True);
        int[] large = [.. Enumerable.Range(0, 900).Select(i => i % 2000)];
        await using IAsyncEnumerator<GenerationUpdate> waiting = engine.GenerateAsync(large, Short).GetAsyncEnumerator();
        ValueTask<bool> first = waiting.MoveNextAsync();
        for (int i = 0; i < 5; i++)
            Assert.That(await busy.MoveNextAsync(), Is.True);

        string[] lines = [.. loggers.Lines.Where(l => l.Contains("waits for", StringComparison.Ordinal))];

        await busy.DisposeAsync();
        Assert.That(await first, Is.True);
        Assert.That(lines, Has.Length.EqualTo(1));
        Assert.That(lines[0], Does.Match(@"^Warning: A request waits for 15 cache pages of 64 tokens: \d+ of 16 are free, 1 are left for 1 live requests to grow; raise CacheTokens, or lower MaxSequences$"));
    }

    private static async Task Run(Engine engine, GenerationOptions options, CancellationToken cancellation = default)
    {
        await foreach (GenerationUpdate _ in engine.GenerateAsync(Prompt, options, cancellation))
        {
        }
    }

    private static async Task<GenerationUsage> UsageOf(IAsyncEnumerator<GenerationUpdate> updates, ValueTask<bool> next)
    {
        GenerationUsage? usage = null;
        for (bool more = await next; more; more = await updates.MoveNextAsync())
            usage = updates.Current.Usage ?? usage;
        return usage!;
    }

    private sealed class RecordingLoggers : ILoggerFactory, ILogger
    {
        private readonly Lock gate = new();
        private readonly List<string> lines = [];

        public IReadOnlyList<string> Lines
        {
            get
            {
                lock (gate)
                    return [.. lines];
            }
        }

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (gate)
                lines.Add($"{logLevel}: {formatter(state, exception)}");
        }

        public void Dispose()
        {
        }
    }
}
