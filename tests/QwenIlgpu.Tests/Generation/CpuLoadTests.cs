using System.Diagnostics;

namespace QwenIlgpu.Tests;

/// <summary>Many requests on more threads than there are cores: nobody waits for ever, and an engine without work takes no time.</summary>
[NonParallelizable]
internal sealed class CpuLoadTests
{
    private const int AtATime = 16;

    [CancelAfter(600_000)]
    [Category("Exhaustive")]
    [Test]
    public Task TwoThousandRequestsEnd(CancellationToken cancellation) => Requests(2_000, cancellation);

    [CancelAfter(60_000)]
    [Test]
    public Task SixtyRequestsEnd(CancellationToken cancellation) => Requests(60, cancellation);

    [Test]
    public async Task AnIdleEngineTakesNoTime()
    {
        await using QwenModel model = await Load();
        await using var engine = new Engine(model, new EngineOptions());
        await Generate(engine, 0, CancellationToken.None);

        // The least of several looks: what else runs in this process has its pauses, threads that spin have none.
        double least = double.PositiveInfinity;
        for (int look = 0; look < 5; look++)
        {
            using var process = Process.GetCurrentProcess();
            TimeSpan before = process.TotalProcessorTime;
            await Task.Delay(100);
            process.Refresh();
            least = Math.Min(least, (process.TotalProcessorTime - before).TotalMilliseconds);
        }

        Assert.That(least, Is.LessThan(50), "processor milliseconds of 100");
    }

    private static async Task Requests(int count, CancellationToken cancellation)
    {
        await using QwenModel model = await Load();
        await using var engine = new Engine(model, new EngineOptions { MaxSequences = AtATime });
        using var places = new SemaphoreSlim(AtATime);
        int[] tokens = await Task.WhenAll(Enumerable.Range(0, count).Select(async request =>
        {
            await places.WaitAsync(cancellation);
            try
            {
                return await Generate(engine, request, cancellation);
            }
            finally
            {
                places.Release();
            }
        }));

        Assert.That(tokens, Is.EqualTo(Enumerable.Range(0, count).Select(TokensOf)));
    }

    private static Task<QwenModel> Load()
    {
        if (TestModels.Device != DeviceSelection.Cpu)
            Assert.Ignore("about threads of the CPU");
        return QwenModel.LoadAsync(TestData.TinyGptqModel, new ModelOptions { Device = DeviceSelection.Cpu, CpuThreads = 4 });
    }

    private static int TokensOf(int request) => 1 + (request % 7);

    private static async Task<int> Generate(Engine engine, int request, CancellationToken cancellation)
    {
        int[] prompt = [.. Enumerable.Range(0, 1 + (request % 23)).Select(i => ((request * 31) + i) % 2048)];
        var options = new GenerationOptions { MaxTokens = TokensOf(request), IgnoreEos = true };
        int tokens = 0;
        await foreach (GenerationUpdate update in engine.GenerateAsync(prompt, options, cancellation))
            tokens += update.TokenIds.Count;
        return tokens;
    }
}
