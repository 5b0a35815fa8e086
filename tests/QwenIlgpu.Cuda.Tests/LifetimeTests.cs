namespace QwenIlgpu.Cuda.Tests;

/// <summary>Engines on the stand-in driver: what they leave behind, and what they may not disturb.</summary>
[NonParallelizable]
internal sealed class LifetimeTests
{
    private static readonly GenerationOptions Options = new()
    {
        MaxTokens = 100,
        IgnoreEos = true,
        Sampling = new SamplingOptions { Temperature = 1, Seed = 1 },
    };

    [Test]
    public async Task NothingIsLeftAfterDispose()
    {
        string before = StandIn.LiveHandles();
        await using (QwenModel model = await TinyModel.LoadAsync(TinyModel.GptqFolder))
        {
            await using (var engine = new Engine(model, new EngineOptions { MaxSequences = 2 }))
                await Task.WhenAll(IdsAsync(engine, Options), IdsAsync(engine, Options));
            Assert.That(StandIn.Live(HandleKind.GraphExec), Is.Zero, "graphs after the engine's end");
        }

        Assert.That(StandIn.LiveHandles(), Is.EqualTo(before));
    }

    [Test]
    public async Task NothingIsLeftAfterLoadingIsCancelled()
    {
        string before = StandIn.LiveHandles();
        using var source = new CancellationTokenSource();
        var progress = new CancelAfter(source, 40);

        Assert.That(
            async () => await QwenModel.LoadAsync(TinyModel.Folder, new ModelOptions { Device = DeviceSelection.Cuda() }, progress, source.Token),
            Throws.InstanceOf<OperationCanceledException>());

        await Task.CompletedTask;
        Assert.That(StandIn.LiveHandles(), Is.EqualTo(before));
    }

    [Test]
    public async Task TwoEnginesOnOneModelStepSideBySide()
    {
        await using QwenModel model = await TinyModel.LoadAsync();
        await using var first = new Engine(model);
        await using var second = new Engine(model);
        StandIn.Clear();

        int[][] ids = await Task.WhenAll(IdsAsync(first, Options), IdsAsync(second, Options));

        Assert.That(ids, Has.All.Length.EqualTo(100));
        Assert.That(StandIn.Calls.Where(c => c.Result is not (0 or 600)), Is.Empty);
    }

    [Test]
    public async Task TwoModelsOnTwoDevicesInOneProcess()
    {
        await using QwenModel one = await TinyModel.LoadAsync();
        await using QwenModel two = await TinyModel.LoadAsync(device: DeviceSelection.Cuda(1));
        Assert.That((one.DeviceName, two.DeviceName), Is.EqualTo(("Stand-in GPU 0", "Stand-in GPU 1")));
        await using var first = new Engine(one);
        await using var second = new Engine(two);
        StandIn.Clear();

        int[][] ids = await Task.WhenAll(IdsAsync(first, Options), IdsAsync(second, Options));

        Assert.That(ids, Has.All.Length.EqualTo(100));
        Assert.That(StandIn.Calls.Where(c => c.Result is not (0 or 600)), Is.Empty);
        Assert.That(StandIn.Calls.Where(c => c.IsLaunch && c.Origin != CallOrigin.Captured).Select(c => c.Stream).Distinct().Count(), Is.EqualTo(2));
    }

    [Test]
    public async Task PrefillChunksThatNobodyReadsBackKeepTheirInputs()
    {
        await using QwenModel model = await TinyModel.LoadAsync();
        await using var engine = new Engine(model, new EngineOptions { PrefillChunkTokens = 64 });
        int[] prompt = [.. Enumerable.Range(0, 700).Select(i => i % 2000)];
        StandIn.Clear();

        await foreach (GenerationUpdate _ in engine.GenerateAsync(prompt, Options with { MaxTokens = 1 }))
        {
        }

        DriverCall[] calls = StandIn.Calls;
        Assert.That(calls.Where(c => c.Result is not (0 or 600)), Is.Empty);
        Assert.That(calls.Count(c => c.Call == "cuEventSynchronize"), Is.EqualTo(10), "eleven chunks: each from the third on waits for a staging buffer, the last one for its token");
    }

    [Test]
    public async Task PrefillStepsAreAsLongAsMemoryAllows()
    {
        await using QwenModel model = await TinyModel.LoadAsync();
        await using var unlimited = new Engine(model);
        await using var limited = new Engine(model, new EngineOptions { ActivationBytes = 16 << 20 });

        Assert.That(unlimited.PrefillChunkTokens, Is.EqualTo(2048));
        Assert.That(limited.PrefillChunkTokens, Is.InRange(64, 1024).And.Matches<int>(int.IsPow2));
        Assert.That(StandIn.Calls.Where(c => c.Result is not (0 or 600)), Is.Empty);
    }

    /// <summary>As on a GPU, every later call fails, and nothing but the context's end frees anything: that must hide nothing.</summary>
    [TestCase(0)]
    [TestCase(5)]
    public async Task FaultOfTheDeviceReachesTheReaderAndFreesTheModel(int tokensBefore)
    {
        string before = StandIn.LiveHandles();
        try
        {
            await using QwenModel model = await TinyModel.LoadAsync();
            await using var engine = new Engine(model);
            Assert.That(() => FailAsync(engine), Throws.Exception.With.Message.Contains("illegal memory access"));
            Assert.That(() => FailAsync(engine), Throws.Exception.With.Message.Contains("illegal memory access"), "a later request");
        }
        finally
        {
            StandIn.Fault(0);
        }

        Assert.That(StandIn.LiveHandles(), Is.EqualTo(before));

        async Task FailAsync(Engine engine)
        {
            int tokens = 0;
            if (tokensBefore == 0)
                StandIn.Fault(700);

            // On a busy machine the engine may be done before its reader plants the fault: the request after that meets it.
            for (int request = 0; request < 2; request++)
            {
                await foreach (GenerationUpdate update in engine.GenerateAsync(new[] { 5, 6, 7 }, Options with { MaxTokens = 20_000 }))
                {
                    tokens += update.TokenIds.Count;
                    if (tokens >= tokensBefore)
                        StandIn.Fault(700);
                }
            }
        }
    }

    [Test]
    public async Task EngineThreadAllocatesNothingWhileAReaderWaits()
    {
        await using QwenModel model = await TinyModel.LoadAsync();
        await using var engine = new Engine(model);
        long before = 0;
        long after = 0;
        int tokens = 0;

        // The reader may be far behind the engine: the end, which is not steady, lies further off than that.
        await foreach (GenerationUpdate update in engine.GenerateAsync(new[] { 5, 6, 7 }, Options with { MaxTokens = 2000 }))
        {
            tokens += update.TokenIds.Count;
            if (before == 0 && tokens >= 100)
                before = engine.Loop.Counters.AllocatedBytes;
            if (tokens <= 400)
                after = engine.Loop.Counters.AllocatedBytes;
        }

        Assert.That(tokens, Is.EqualTo(2000));
        Assert.That(after - before, Is.Zero, "bytes in at least 300 steps");
    }

    private static Task<int[]> IdsAsync(Engine engine, GenerationOptions options) => engine.GenerateAsync(new[] { 5, 6, 7 }, options).IdsAsync();

    private sealed class CancelAfter(CancellationTokenSource source, int reports) : IProgress<LoadProgress>
    {
        private int left = reports;

        public void Report(LoadProgress value)
        {
            if (--left == 0)
                source.Cancel();
        }
    }
}
