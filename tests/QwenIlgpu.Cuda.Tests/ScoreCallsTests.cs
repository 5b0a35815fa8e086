namespace QwenIlgpu.Cuda.Tests;

/// <summary>What the steps that score a text ask of the driver.</summary>
[NonParallelizable]
internal sealed class ScoreCallsTests
{
    private const int ChunkTokens = 512;

    [Test]
    public async Task StepIsThePlannedLaunchesThenOneReadBack()
    {
        await using QwenModel model = await TinyModel.LoadAsync();
        var options = new EngineOptions { MaxSequences = 1, ContextTokens = 5 * ChunkTokens, PrefillChunkTokens = ChunkTokens };
        using var runner = new StepRunner(model, options.Resolve(model.Config));
        var scheduler = new Scheduler(runner);
        int[] ids = [.. Enumerable.Range(0, 5 * ChunkTokens).Select(i => i % 1000)];
        var request = new ScoreRequest(ids);
        scheduler.Enqueue(request);
        scheduler.Update();
        var steps = new List<DriverCall[]>();
        long allocated = 0;
        while (!request.Sequence.Retired)
        {
            StandIn.Clear();
            long before = GC.GetAllocatedBytesForCurrentThread();
            scheduler.Step();
            if (steps.Count == 3)
                allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            steps.Add(StandIn.Calls);
        }

        OpGraph graph = runner.GraphOf(new StepShape(StepKind.Prefill, ChunkTokens, 1, 0, ChunkTokens / 64, false, ChunkTokens)).Graph;
        string[] planned = [.. graph.Launches.ToArray().Select(l => l.Name)];
        string[] launched = [.. steps[3].Where(c => c.IsLaunch).Select(c => c.Name)];
        Assert.That(launched.Zip(planned), Has.All.Matches<(string Launched, string Planned)>(p => p.Launched.Contains(p.Planned, StringComparison.Ordinal)));
        Assert.That(launched, Has.Length.EqualTo(planned.Length).And.Some.Contains("TargetLogProbs").And.None.Contains("Draw"));
        Assert.That(steps[3].Count(c => c.Call == "cuMemcpyDtoHAsync"), Is.EqualTo(1));
        Assert.That(steps[3].Single(c => c.Call == "cuMemcpyDtoHAsync").Bytes, Is.EqualTo(ChunkTokens * sizeof(float)));
        Assert.That(steps[3].Count(c => c.Call == "cuEventSynchronize"), Is.EqualTo(1), "the step before is waited for");
        Assert.That(allocated, Is.Zero, "managed bytes of a step whose shape is known");
        Assert.That(request.ScoredTokens, Is.EqualTo(ids.Length - 1));
    }
}
