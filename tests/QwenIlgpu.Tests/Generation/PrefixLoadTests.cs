namespace QwenIlgpu.Tests;

/// <summary>
/// Prompts of few beginnings, many at once, on caches that hold a fraction of them: pages are shared, given up and fought for, requests
/// leave and begin again, and all is accounted for after every step.
/// </summary>
[NonParallelizable]
internal sealed class PrefixLoadTests
{
    private const long StateBytes = 6 * (98_304 + 10_240);

    private static EngineOptions Capacity { get; } =
        new() { MaxSequences = 4, ContextTokens = 320, CacheTokens = 640, PrefillChunkTokens = 128, DeviceSnapshots = 2, HostSnapshotBytes = 2 * StateBytes };

    [TestCase(1, 8, 1, 0)]
    [TestCase(2, 8, 2, long.MaxValue)]
    public void ExactAnswersAreThoseOfEachRequestAlone(int seed, int requests, int stepsInFlight, long spillBytes)
    {
        (int[] Prompt, int MaxTokens)[] loads = Draw(new Random(seed), requests);
        string[] alone = Alone(loads);

        CompareExact(loads, alone, seed, stepsInFlight, spillBytes);
    }

    [Test]
    [Category("Exhaustive")]
    public void ManyExactAnswersAreThoseOfEachRequestAlone([Range(0, 19)] int series)
    {
        (int[] Prompt, int MaxTokens)[] loads = Draw(new Random(1000 + series), 20);
        string[] alone = Alone(loads);
        for (int seed = 0; seed < 6; seed++)
            CompareExact(loads, alone, seed, 1 + (seed % 2), (seed % 3) switch { 0 => 0, 1 => 1_200_000, _ => long.MaxValue });
    }

    // What is accounted for, and how it goes on; how far answers agree, PrefixOriginTests tell.
    [TestCase(3, 8, 2)]
    [TestCase(4, 300, 1, Category = "Exhaustive")]
    [TestCase(5, 300, 2, Category = "Exhaustive")]
    public void ReuseAccountsForAllOfIt(int seed, int requests, int stepsInFlight)
    {
        GenerationRequest[] all = [.. Draw(new Random(seed), requests).Select((load, i) => PrefixRuns.Request(load.Prompt, load.MaxTokens, (ulong)i))];
        using var runs = new PrefixRuns(Capacity with { PrefixCache = PrefixCacheMode.Reuse }, stepsInFlight);

        RunUnderLoad(runs, all, new Random(seed));

        Assert.That(all.Where(r => !r.Sequence.Cancelled).All(r => r.GeneratedTokens == r.MaxTokens));
        Assert.That(runs.Scheduler.Prefixes.Counters.Usage.Hits, Is.Positive);
        runs.AssertNothingIsLeft();
    }

    private static void CompareExact((int[] Prompt, int MaxTokens)[] loads, string[] alone, int seed, int stepsInFlight, long spillBytes)
    {
        GenerationRequest[] requests = [.. loads.Select((load, i) => PrefixRuns.Request(load.Prompt, load.MaxTokens, (ulong)i))];
        using var runs = new PrefixRuns(Capacity with { SpillBytes = spillBytes }, stepsInFlight);

        RunUnderLoad(runs, requests, new Random(seed));

        for (int i = 0; i < requests.Length; i++)
        {
            string actual = PrefixRuns.DrawnBy(requests[i]);
            Assert.That(actual, requests[i].Sequence.Cancelled ? Is.EqualTo(alone[i][..actual.Length]) : Is.EqualTo(alone[i]), $"request {i}");
        }

        Assert.That(runs.Scheduler.Prefixes.Counters.Usage.Hits, Is.Positive);
        runs.AssertNothingIsLeft();
    }

    // They come in threes; one in six leaves at some step, and now and then the youngest loses its pages.
    private static void RunUnderLoad(PrefixRuns runs, GenerationRequest[] requests, Random random)
    {
        var coming = new Queue<GenerationRequest>(requests);
        int step = 0;
        bool busy = true;
        while (busy || coming.Count > 0)
        {
            for (int i = 0; i < 3 && coming.Count > 0 && (step % 8 == 0 || !busy); i++)
                runs.Scheduler.Enqueue(coming.Dequeue());
            if (runs.Scheduler.Live.Count > 0 && random.Next(60) == 0)
                Cancel(runs.Scheduler.Live[random.Next(runs.Scheduler.Live.Count)]);
            runs.Scheduler.Update();
            if (step < 400 && runs.Runner.Ring.InFlight == 0 && runs.Scheduler.Live.Count > 1 && random.Next(15) == 0)
                runs.Scheduler.Preemption.GiveUpYoungest();
            SchedulerInvariants.Check(runs.Scheduler, runs.Runner);
            busy = runs.Scheduler.Step();
            SchedulerInvariants.Check(runs.Scheduler, runs.Runner);
            Assert.That(++step, Is.LessThan(100_000), "steps without an end");
        }
    }

    private static void Cancel(IRequest request)
    {
        request.Sequence.Cancel();
        request.Fail(new OperationCanceledException());
    }

    private static string[] Alone((int[] Prompt, int MaxTokens)[] loads)
    {
        using var cold = new PrefixRuns(Capacity with { PrefixCache = PrefixCacheMode.Off });
        return [.. loads.Select((load, i) =>
        {
            GenerationRequest request = PrefixRuns.Request(load.Prompt, load.MaxTokens, (ulong)i);
            cold.Run(request);
            return PrefixRuns.DrawnBy(request);
        })];
    }

    // One to three of two pages' tokens, and some of the next.
    private static (int[] Prompt, int MaxTokens)[] Draw(Random random, int count) =>
    [
        .. Enumerable.Range(0, count).Select(_ =>
        {
            int[] whole = [.. Enumerable.Range(0, random.Next(1, 4)).SelectMany(_ => Page(random.Next(2)))];
            int rest = new[] { 0, 1, 20, 63 }[random.Next(4)];
            return (whole.Concat(Page(random.Next(2))[..rest]).ToArray(), random.Next(1, 40));
        }),
    ];

    // They differ in the last token.
    private static int[] Page(int number) => [.. Enumerable.Range(0, 63).Select(i => ((i * 131) + 7) % 2000), number + 20];
}
