using System.Globalization;

namespace QwenIlgpu.Tests;

/// <summary>Requests that give up their cache to older ones: what they hand out is what each hands out alone, to the bit.</summary>
[NonParallelizable]
internal sealed class PreemptionTests
{
    private const int ContextTokens = 256;
    private const int MostRequests = 16;
    private const int PagesPerSequence = ContextTokens / 64;

    // 6 delta layers of 6 heads of 64 · 64 floats and a ring of 4 rows of 640; a page of 2 attention layers · 2 · 2 heads · 64 · 64 floats.
    private const long OneSequenceBytes = (6 * (98_304 + 10_240)) + (4 * 131_072);

    // Eight in a cache for two, and on the host room for two more: whoever else gives up is computed again.
    [Test]
    public void UnderLoadEveryAnswerIsThatOfItsRequestAlone()
    {
        Load[] loads = Draw(new Random(1), requests: 8);
        int atOnce = CompareUnderLoad(loads, Alone(loads), seed: 1, stepsInFlight: 2, 2 * OneSequenceBytes, cancels: false);

        Assert.That(atOnce, Is.Positive, "requests that had given up their pages at once");
    }

    // Sixteen in a cache for four, ten times with other budgets, steps in flight and cancellations.
    [Test]
    [Category("Exhaustive")]
    public void UnderManyLoadsEveryAnswerIsThatOfItsRequestAlone([Range(0, 9)] int series)
    {
        Load[] loads = Draw(new Random(series), MostRequests);
        string[][] alone = Alone(loads);
        int preempted = 0;
        for (int seed = 10 * series; seed < 10 * (series + 1); seed++)
        {
            long spillBytes = (seed % 3) switch { 0 => 0, 1 => 2 * OneSequenceBytes, _ => long.MaxValue };
            preempted += CompareUnderLoad(loads, alone, seed, stepsInFlight: 1 + (seed / 3 % 2), spillBytes, cancels: seed % 2 == 0);
        }

        Assert.That(preempted, Is.Positive);
    }

    // At any point, however far prompt, scores, answer or replay have come.
    [TestCase(1, 0)]
    [TestCase(2, OneSequenceBytes)]
    public void WhoeverGivesUpItsPagesAtAnyPointGoesOnWhereItWas(int seed, long spillBytes) => CompareGivingUpAtRandom(seed, 2, spillBytes);

    [Test]
    [Category("Exhaustive")]
    public void WhoeverGivesUpItsPagesAtManyPointsGoesOnWhereItWas([Range(100, 159)] int seed) =>
        CompareGivingUpAtRandom(seed, 4, (seed % 3) switch { 0 => 0, 1 => OneSequenceBytes, _ => long.MaxValue });

    // The older ones come to hold four pages of six, and the youngest needs a third: it has nobody to take one from.
    [TestCase(0)]
    [TestCase(long.MaxValue, Category = "Exhaustive")]
    public void TheYoungestGivesUpItsOwnPagesWhereAllOthersAreOlder(long spillBytes)
    {
        Load[] loads = [Load.Drawing(5, 123, 1), Load.Drawing(5, 123, 2), Load.Drawing(60, 133, 3)];
        using StepRunner runner = NewRunner(2, spillBytes, pages: 6);
        var scheduler = new Scheduler(runner);
        IRequest[] requests = [.. loads.Select(l => l.NewRequest())];

        var preempted = new HashSet<IRequest>();
        Run(scheduler, runner, requests, _ => preempted.UnionWith(scheduler.Preemption.Spilled.Select(s => s.Request)));

        Assert.That(preempted, Is.EqualTo(new[] { requests[2] }));
        AssertAsAlone(Alone(loads), requests);
    }

    [Test]
    public void PagesAreThereBeforeTheStepThatNeedsThemAndNotBefore()
    {
        using StepRunner runner = NewRunner(2, 0, pages: 4);
        var scheduler = new Scheduler(runner);
        var request = (GenerationRequest)Load.Drawing(62, 131, 1).NewRequest();
        scheduler.Enqueue(request);
        scheduler.Update();
        var pages = new List<(int Tokens, int Pages)>();
        while (scheduler.Step())
        {
            if (pages.Count == 0 || pages[^1].Pages != request.Sequence.PageCount)
                pages.Add((request.CachedTokens, request.Sequence.PageCount));
            SchedulerInvariants.Check(scheduler, runner);
        }

        // Of 62 + 131 tokens the last is never fed.
        Assert.That(pages, Is.EqualTo(new[] { (62, 1), (65, 2), (129, 3), (192, 0) }));
    }

    [Test]
    public void AWaitingRequestIsAdmittedThoughItsMaxTokensWouldNotFit()
    {
        using StepRunner runner = NewRunner(1, 0, pages: 4);
        var scheduler = new Scheduler(runner);
        IRequest[] requests = [Load.Drawing(10, 180, 1).NewRequest(), Load.Drawing(10, 180, 2).NewRequest()];
        foreach (IRequest request in requests)
            scheduler.Enqueue(request);

        scheduler.Update();

        Assert.That(scheduler.Live.All, Is.EqualTo(requests));
    }

    // A page each is left for the two that can grow, which makes five of four.
    [Test]
    public void ARequestWaitsWhereItWouldLeaveNoPageToGrow()
    {
        using StepRunner runner = NewRunner(1, 0, pages: 4);
        var scheduler = new Scheduler(runner);
        IRequest[] requests = [Load.Drawing(10, 180, 1).NewRequest(), Load.Drawing(120, 70, 2).NewRequest()];
        foreach (IRequest request in requests)
            scheduler.Enqueue(request);

        scheduler.Update();

        Assert.That((scheduler.Live.All, scheduler.Admission.Waiting), Is.EqualTo((requests[..1], requests[1..])));
    }

    [TestCase(0, Category = "Exhaustive")]
    [TestCase(long.MaxValue)]
    public void ACancelledRequestThatGaveUpItsPagesHoldsNothing(long spillBytes)
    {
        using StepRunner runner = NewRunner(2, spillBytes, pages: 6);
        var scheduler = new Scheduler(runner);
        IRequest[] requests = [.. Enumerable.Range(0, 4).Select(i => Load.Drawing(50, 140, i).NewRequest())];
        int cancelled = 0;

        Run(scheduler, runner, requests, _ =>
        {
            foreach (SpilledRequest spilled in scheduler.Preemption.Spilled)
            {
                Cancel(spilled.Request);
                cancelled++;
            }

            scheduler.Update();
            Assert.That(scheduler.Preemption.Spilled, Is.Empty);
            Assert.That(runner.SpillSpace.UsedBytes, Is.Zero);
        });

        Assert.That(cancelled, Is.Positive);
    }

    [Test]
    public void PromptProgressNeverGoesBack()
    {
        using StepRunner runner = NewRunner(1, 0, pages: 4, chunkTokens: 64, PrefixCacheMode.Off);
        var scheduler = new Scheduler(runner);
        var progress = new List<int>();
        scheduler.Enqueue(Load.Drawing(190, 3, 9).NewRequest(new Recorded(progress)));
        scheduler.Update();
        scheduler.Step();
        scheduler.Step();

        scheduler.Preemption.GiveUpYoungest();
        scheduler.Update();
        int fed = scheduler.Live.Youngest.Sequence.FedTokens;
        while (scheduler.Step())
        {
        }

        Assert.That(fed, Is.Zero);
        Assert.That(progress, Is.EqualTo(new[] { 64, 128, 190 }));
    }

    [Test]
    [Category("Exhaustive")]
    public async Task AnEngineServesMoreThanItsCacheHolds()
    {
        int[][] prompts = [.. Enumerable.Range(0, 3).Select(i => Load.Drawing(20 + (9 * i), 1, i).Ids)];
        var sampling = new SamplingOptions { Temperature = 1, Seed = 5, TopK = 50, PresencePenalty = 1 };
        var options = new GenerationOptions { MaxTokens = 130, IgnoreEos = true, Sampling = sampling };
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { ContextTokens = ContextTokens, CacheTokens = 5 * 64 });
        int[][] alone = new int[prompts.Length][];
        for (int i = 0; i < prompts.Length; i++)
            alone[i] = await IdsOf(engine, prompts[i], options);

        int[][] together = await Task.WhenAll(prompts.Select(p => IdsOf(engine, p, options)));

        Assert.That(together, Is.EqualTo(alone));
    }

    private static Load[] Draw(Random random, int requests) => [.. Enumerable.Range(0, requests).Select(_ => Load.Draw(random))];

    // The most requests that had given up their pages at once.
    private static int CompareUnderLoad(Load[] loads, string[][] alone, int seed, int stepsInFlight, long spillBytes, bool cancels)
    {
        var random = new Random(seed);
        IRequest[] requests = [.. loads.Select(l => l.NewRequest())];
        var leaving = new Dictionary<int, IRequest>();
        foreach (IRequest request in cancels ? requests.Where(_ => random.Next(3) == 0) : [])
            leaving.TryAdd(random.Next(1, 250), request);
        using StepRunner runner = NewRunner(stepsInFlight, spillBytes, requests.Length / 4 * PagesPerSequence);
        var scheduler = new Scheduler(runner);
        int preempted = 0;

        Run(scheduler, runner, requests, step =>
        {
            preempted = Math.Max(preempted, scheduler.Preemption.Spilled.Count);
            if (leaving.Remove(step, out IRequest? request))
                Cancel(request);
        });

        AssertAllIsFree(scheduler, runner);
        AssertAsAlone(alone, requests);
        return preempted;
    }

    private static void CompareGivingUpAtRandom(int seed, int count, long spillBytes)
    {
        var random = new Random(seed);
        Load[] loads = Draw(random, count);
        IRequest[] requests = [.. loads.Select(l => l.NewRequest())];
        using StepRunner runner = NewRunner(1, spillBytes, 4 * PagesPerSequence, chunkTokens: 64);
        var scheduler = new Scheduler(runner);

        // Fewer and fewer, or those who begin again would never end.
        Run(scheduler, runner, requests, step =>
        {
            while (scheduler.Live.Count > 0 && random.Next(10 + (step / 4)) == 0)
                scheduler.Preemption.GiveUpYoungest();
            Shuffle(scheduler.Live, random);
        });

        AssertAllIsFree(scheduler, runner);
        AssertAsAlone(Alone(loads), requests);
    }

    // So that nobody comes back to the slot and the pages that still hold what was there.
    private static void Shuffle(LiveRequests live, Random random)
    {
        int[] slots = [.. Enumerable.Range(0, live.Slots.Available).Select(_ => live.Slots.Take())];
        int[] pages = [.. Enumerable.Range(0, live.Pages.Available).Select(_ => live.Pages.Take())];
        random.Shuffle(slots);
        random.Shuffle(pages);
        foreach (int slot in slots)
            live.Slots.Return(slot);
        foreach (int page in pages)
            live.Pages.Release(page);
    }

    private static void AssertAllIsFree(Scheduler scheduler, StepRunner runner)
    {
        Assert.That(scheduler.Count, Is.Zero);
        scheduler.Prefixes.Clear();
        Assert.That(scheduler.Live.Pages.Available, Is.EqualTo(scheduler.Live.Pages.Count));
        Assert.That(runner.SpillSpace.UsedBytes, Is.Zero);
    }

    private static void AssertAsAlone(string[][] alone, IRequest[] requests)
    {
        for (int i = 0; i < requests.Length; i++)
        {
            string[] actual = OutputOf(requests[i]);
            bool cancelled = requests[i].Sequence.Cancelled;
            string[] expected = cancelled ? alone[i][..Math.Min(actual.Length, alone[i].Length)] : alone[i];
            Assert.That(actual, Is.EqualTo(expected), $"request {i}{(cancelled ? ", which was cancelled" : "")}");
        }
    }

    // One after the other, all of them in a cache for more.
    private static string[][] Alone(Load[] loads)
    {
        using StepRunner runner = NewRunner(1, 0, 4 * PagesPerSequence);
        var scheduler = new Scheduler(runner);
        return [.. loads.Select(load =>
        {
            IRequest request = load.NewRequest();
            scheduler.Enqueue(request);
            scheduler.Update();
            while (scheduler.Step())
            {
            }

            return OutputOf(request);
        })];
    }

    private static StepRunner NewRunner(int stepsInFlight, long spillBytes, int pages, int chunkTokens = 128, PrefixCacheMode prefixCache = PrefixCacheMode.Exact)
    {
        var options = new EngineOptions
        {
            MaxSequences = MostRequests, ContextTokens = ContextTokens, CacheTokens = pages * 64, PrefillChunkTokens = chunkTokens, KvType = KvType.F32,
            SpillBytes = spillBytes, PrefixCache = prefixCache,
        };
        return new StepRunner(TestModels.Tiny, options.Resolve(TestModels.Tiny.Config), new StepRunnerOptions(StepsInFlight: stepsInFlight));
    }

    private static void Run(Scheduler scheduler, StepRunner runner, IRequest[] requests, Action<int> afterStep)
    {
        foreach (IRequest request in requests)
            scheduler.Enqueue(request);
        int step = 0;
        bool busy = true;
        while (busy)
        {
            scheduler.Update();
            SchedulerInvariants.Check(scheduler, runner);
            AssertOrder(scheduler, requests);
            busy = scheduler.Step();
            SchedulerInvariants.Check(scheduler, runner);
            afterStep(++step);
            Assert.That(step, Is.LessThan(20_000), "steps without an end");
        }
    }

    // Oldest first, whether live, without pages or waiting.
    private static void AssertOrder(Scheduler scheduler, IRequest[] requests)
    {
        int last = -1;
        foreach (IRequest request in scheduler.Live.All.Concat(scheduler.Preemption.Spilled.Reverse().Select(s => s.Request)).Concat(scheduler.Admission.Waiting))
        {
            int index = Array.IndexOf(requests, request);
            if (index <= last)
                Assert.Fail($"request {index} comes behind request {last}");
            last = index;
        }
    }

    // As the engine does it.
    private static void Cancel(IRequest request)
    {
        request.Sequence.Cancel();
        request.Fail(new OperationCanceledException());
    }

    private static string[] OutputOf(IRequest request)
    {
        if (request is ScoreRequest scoring)
            return [.. scoring.Scores.IsCompletedSuccessfully ? scoring.Scores.Result.Select(Bits) : []];
        TokenStream stream = ((GenerationRequest)request).Stream;
        Assert.That(stream.Error, Is.Null.Or.InstanceOf<OperationCanceledException>());
        return [.. Enumerable.Range(0, stream.Written.Length).Select(i => $"{stream[i]} {Text(stream.LogProbsOf(i))}")];
    }

    private static string Text(TokenLogProbs? logProbs) => logProbs is null
        ? ""
        : $"{Bits(logProbs.LogProbability)} {string.Join(' ', logProbs.Top.Select(t => $"{t.TokenId}:{Bits(t.LogProbability)}"))}";

    private static string Bits(float value) => BitConverter.SingleToUInt32Bits(value).ToString("x8", CultureInfo.InvariantCulture);

    private static async Task<int[]> IdsOf(Engine engine, int[] prompt, GenerationOptions options)
    {
        var ids = new List<int>();
        await foreach (GenerationUpdate update in engine.GenerateAsync(prompt, options))
            ids.AddRange(update.TokenIds);
        return [.. ids];
    }

    /// <summary>What is asked for, as often as it takes.</summary>
    private sealed record Load(int[] Ids, int MaxTokens, SamplingOptions? Sampling, bool EndsAtEndIds)
    {
        // Few, as a step's graph is recorded for each of its shapes.
        private static readonly int[] PromptTokens = [2, 5, 20, 63, 64, 65];

        public static Load Drawing(int promptTokens, int maxTokens, int seed) =>
            new(IdsOf(new Random(seed), promptTokens), maxTokens, new SamplingOptions { Temperature = 1, Seed = (ulong)seed, TopK = 40, FrequencyPenalty = 0.5f, TopLogProbs = 2 }, false);

        public static Load Draw(Random random)
        {
            int promptTokens = PromptTokens[random.Next(PromptTokens.Length)];
            int[] ids = IdsOf(random, promptTokens);
            if (random.Next(8) == 0)
                return new Load(IdsOf(random, 130), 0, null, false);
            bool penalises = random.Next(2) == 0;
            var sampling = new SamplingOptions
            {
                Temperature = random.Next(4) == 0 ? 0 : 0.5f + random.NextSingle(),
                TopK = random.Next(2) == 0 ? random.Next(1, 60) : 0,
                TopP = random.Next(2) == 0 ? 0.9f : 1,
                MinP = random.Next(3) == 0 ? 0.02f : 0,
                Seed = (ulong)random.NextInt64(),
                RepetitionPenalty = penalises ? 1.2f : 1,
                FrequencyPenalty = penalises ? 0.3f : 0,
                PresencePenalty = penalises ? 0.4f : 0,
                LogitBias = random.Next(3) == 0 ? new Dictionary<int, float> { [random.Next(2000)] = 4, [random.Next(2000)] = float.NegativeInfinity } : null,
                AllowedTokenIds = random.Next(4) == 0 ? [.. Enumerable.Range(0, 400).Select(_ => random.Next(2000)).Distinct()] : null,
                TopLogProbs = random.Next(2) == 0 ? random.Next(6) : null,
            };
            int mostTokens = ContextTokens - promptTokens + 1;
            return new Load(ids, random.Next(8) == 0 ? random.Next(1, 80) : mostTokens - random.Next(40), sampling, random.Next(8) == 0);
        }

        public IRequest NewRequest(IProgress<PromptProgress>? progress = null)
        {
            if (Sampling is null)
                return new ScoreRequest(Ids);
            ResolvedSampling resolved = ResolvedSampling.Resolve(Sampling, null, TestModels.Tiny.VocabularySize, static _ => true, () => 0);
            IReadOnlySet<int> endIds = EndsAtEndIds ? TestModels.Tiny.EndIds : new HashSet<int>();
            return new GenerationRequest(Ids, MaxTokens, endIds, resolved, new TokenStream(MaxTokens, resolved.TopLogProbs ?? -1)) { PromptProgress = progress };
        }

        private static int[] IdsOf(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => random.Next(2000))];
    }

    private sealed class Recorded(List<int> progress) : IProgress<PromptProgress>
    {
        public void Report(PromptProgress value) => progress.Add(value.QueuedTokens);
    }
}
