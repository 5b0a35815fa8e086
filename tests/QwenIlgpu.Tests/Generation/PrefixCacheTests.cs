namespace QwenIlgpu.Tests;

/// <summary>Prompts that begin where earlier ones have been: how far, what they share, what is given up, and that nobody can tell.</summary>
[NonParallelizable]
internal sealed class PrefixCacheTests
{
    private static EngineOptions Capacity { get; } = new() { MaxSequences = 3, ContextTokens = 512, CacheTokens = 1536, PrefillChunkTokens = 128 };

    [Test]
    public async Task UsageTellsWhatWasThereAndTheEngineWhatItSaved()
    {
        int[] prompt = Ids(300, 1);
        var options = new GenerationOptions { MaxTokens = 3, IgnoreEos = true };
        await using var engine = new Engine(TestModels.Tiny, Capacity);
        await using var off = new Engine(TestModels.Tiny, Capacity with { PrefixCache = PrefixCacheMode.Off });
        async Task<int> CachedAsync(Engine of) => (await of.GenerateAsync(prompt, options).LastAsync()).Usage!.CachedTokens;

        int[] cached = [await CachedAsync(engine), await CachedAsync(engine), await CachedAsync(off), await CachedAsync(off)];

        Assert.That(cached, Is.EqualTo(new[] { 0, 256, 0, 0 }));
        Assert.That(off.PrefixCache, Is.EqualTo(new PrefixCacheUsage(0, 0, 0, 0, 0)));

        // 4 pages of 2 attention layers · 2 · 2 heads · 64 · 64 bf16, and a state: 6 delta layers of 6 heads of 64 · 64 floats and 4 rows of 640.
        Assert.That(engine.PrefixCache, Is.EqualTo(new PrefixCacheUsage(2, 1, 256, (4 * 65_536) + (6 * (98_304 + 10_240)), 0)));
    }

    // Lengths around a page's end, shared with a longer and a shorter prompt.
    [Test]
    public void WarmIsColdBitForBit()
    {
        using var warm = new PrefixRuns(Capacity, form: DeltaPrefillForm.Chunked);
        using var cold = new PrefixRuns(Capacity with { PrefixCache = PrefixCacheMode.Off }, form: DeltaPrefillForm.Chunked);
        int[] ids = Ids(193, 1);
        (int Tokens, int Resumed)[] expected = [(129, 0), (129, 128), (128, 0), (128, 64), (193, 128), (65, 64)];
        foreach ((int tokens, int resumed) in expected)
        {
            (string drawn, int resumedTokens) = warm.Answer(ids[..tokens]);

            Assert.That(resumedTokens, Is.EqualTo(resumed), $"{tokens} tokens");
            Assert.That(drawn, Is.EqualTo(cold.Answer(ids[..tokens]).Drawn), $"{tokens} tokens");
        }

        warm.AssertNothingIsLeft();
    }

    [Test]
    public void RequestsFromOneConversationShareItsPages()
    {
        using var runs = new PrefixRuns(Capacity);
        int[] first = Ids(200, 1);
        GenerationRequest one = runs.Begin(PrefixRuns.Request([.. first, 5, 6], 40));
        while (one.GeneratedTokens < 2)
            runs.Scheduler.Step();

        GenerationRequest two = runs.Begin(PrefixRuns.Request([.. first, 7], 40));
        GenerationRequest three = runs.Begin(PrefixRuns.Request([.. first, 8, 9], 40));

        Assert.That((two.Sequence.FedTokens, three.Sequence.FedTokens), Is.EqualTo((192, 192)));
        Assert.That(two.Sequence.Pages[..3].ToArray(), Is.EqualTo(one.Sequence.Pages[..3].ToArray()));
        Assert.That(three.Sequence.Pages[..3].ToArray(), Is.EqualTo(one.Sequence.Pages[..3].ToArray()));
        Assert.That(three.Sequence.Pages[3], Is.Not.EqualTo(two.Sequence.Pages[3]).And.Not.EqualTo(one.Sequence.Pages[3]));
        runs.Run();
        runs.AssertNothingIsLeft();
    }

    // What the tree has in common with a prompt it holds only up to a checkpoint further on; the next one finds one where they part.
    [Test]
    public void WherePromptsPartedOnceAStateIsKept()
    {
        using var runs = new PrefixRuns(Capacity);
        int[] shared = Ids(80, 1);

        int[] resumed = [.. new[] { 2, 3, 4 }.Select(seed => runs.Answer([.. shared, .. Ids(60, seed)]).ResumedTokens)];

        Assert.That(resumed, Is.EqualTo(new[] { 0, 0, 64 }));
    }

    [Test]
    public void ALongConversationGoesOnFromItsLastTurn()
    {
        EngineOptions capacity = Capacity with { ContextTokens = 4096, CacheTokens = 8192, PrefillChunkTokens = 512 };
        using var runs = new PrefixRuns(capacity);
        string story = string.Join(' ', Enumerable.Repeat("Nora sees a blue fox by the old house at the beach and tells a story .", 150));
        PromptMessage[] messages = [PromptMessage.User(story)];
        var template = new ChatTemplateOptions();
        int[] first = TestModels.Tiny.IdsOf(messages, template);
        int[] second = TestModels.Tiny.IdsOf([.. messages, PromptMessage.Assistant("A fox."), PromptMessage.User("Who sees it?")], template);
        int common = first.AsSpan().CommonPrefixLength(second);
        runs.Answer(first, maxTokens: 2);

        GenerationRequest request = runs.Begin(PrefixRuns.Request(second, 2));

        Assert.That(first, Has.Length.InRange(3000, 4000));
        Assert.That(request.Sequence.Rest, Is.LessThanOrEqualTo(63 + (second.Length - common) + 4), "4: the header of the turn that was asked for");
        Assert.That(request.Sequence.Rest, Is.EqualTo(second.Length - request.Sequence.ResumedTokens));
        Assert.That(request.Sequence.ResumedTokens, Is.GreaterThan(2900));
    }

    [Test]
    public void PagesAreGivenUpBeforeAnybodyWaits()
    {
        using var runs = new PrefixRuns(Capacity with { CacheTokens = 512 });
        runs.Answer(Ids(200, 1));
        runs.Answer(Ids(200, 2));
        Assert.That(runs.Tree.Pages, Is.EqualTo(6));

        GenerationRequest large = runs.Begin(PrefixRuns.Request(Ids(300, 3)));

        Assert.That(large.Sequence.PageCount, Is.EqualTo(5));
        Assert.That(runs.Tree.Pages, Is.EqualTo(3), "the older half");
        Assert.That(runs.Tree.Match(Ids(200, 2), 199, PrefixOrigin.Prefill).CachedTokens, Is.EqualTo(192));
        runs.Run();
        runs.AssertNothingIsLeft();
    }

    [Test]
    public void PagesInUseAreNotGivenUp()
    {
        using var runs = new PrefixRuns(Capacity with { CacheTokens = 512 });
        runs.Answer(Ids(200, 1));
        GenerationRequest live = runs.Begin(PrefixRuns.Request([.. Ids(200, 1), 1], 60));
        int[] pages = live.Sequence.Pages.ToArray();

        GenerationRequest large = runs.Begin(PrefixRuns.Request(Ids(300, 3)));

        Assert.That((live.Sequence.ResumedTokens, large.Sequence.Slot), Is.EqualTo((192, 0)), "it waits");
        Assert.That(pages.Select(runs.Scheduler.Live.Pages.ReferencesOf), Is.EqualTo(new[] { 2, 2, 2, 1 }));
        runs.Run();
        runs.AssertNothingIsLeft();
    }

    [Test]
    public void StatesMoveToTheHostAndThenGo()
    {
        long stateBytes = 6 * (98_304 + 10_240);
        using var warm = new PrefixRuns(Capacity with { DeviceSnapshots = 1, HostSnapshotBytes = (2 * stateBytes) - 1 });
        using var cold = new PrefixRuns(Capacity with { PrefixCache = PrefixCacheMode.Off });
        int[][] prompts = [.. Enumerable.Range(1, 3).Select(seed => Ids(100, seed))];
        foreach (int[] prompt in prompts)
            warm.Answer(prompt);
        SnapshotStore store = warm.Scheduler.Prefixes.Store;

        Assert.That((store.SlotsTaken, store.HostTaken, warm.Tree.Pages), Is.EqualTo((1, 1, 2)), "the first has gone, pages and all");
        Assert.That(warm.Scheduler.Prefixes.Counters.Usage.HostBytes, Is.EqualTo(stateBytes));
        Assert.That(warm.Answer(prompts[1]), Is.EqualTo((cold.Answer(prompts[1]).Drawn, 64)), "from the host");
        Assert.That(warm.Answer(prompts[2]), Is.EqualTo((cold.Answer(prompts[2]).Drawn, 64)), "from its slot");
        Assert.That(warm.Answer(prompts[0]).ResumedTokens, Is.Zero);
        Assert.That(warm.Tree.Match(prompts[1], 99, PrefixOrigin.Prefill).CachedTokens, Is.Zero, "it was the least recently used");
        Assert.That(warm.Answer(prompts[2]), Is.EqualTo((cold.Answer(prompts[2]).Drawn, 64)), "from the host");
        warm.AssertNothingIsLeft();
    }

    [Test]
    public void ScoresNeitherUseItNorLeaveAnythingInIt()
    {
        using var runs = new PrefixRuns(Capacity);
        int[] ids = Ids(200, 1);
        float[] Scores()
        {
            var request = new ScoreRequest(ids);
            runs.Scheduler.Enqueue(request);
            runs.Run();
            return request.Scores.Result;
        }

        float[] before = Scores();
        Assert.That(runs.Tree.Pages, Is.Zero);
        runs.Answer(ids);

        Assert.That(Scores(), Is.EqualTo(before));
        Assert.That(runs.Scheduler.Prefixes.Counters.Usage.Requests, Is.EqualTo(1));
    }

    // Conversations far apart in one step, each with checkpoints, on fewer slots than they would take.
    [Test]
    public void SlotsThatAreBeingWrittenToAreNotTaken()
    {
        using var warm = new PrefixRuns(Capacity with { DeviceSnapshots = 1, HostSnapshotBytes = 0, PrefillChunkTokens = 512 });
        GenerationRequest[] requests = [.. Enumerable.Range(1, 3).Select(seed => PrefixRuns.Request(Ids(70, seed)))];

        warm.Run(requests);

        Assert.That(requests.Select(r => warm.Tree.Match(r.Sequence.Ids, 69, PrefixOrigin.Prefill).CachedTokens), Is.EqualTo(new[] { 64, 0, 0 }));
        warm.AssertNothingIsLeft();
    }

    [TestCase(-1, 4, "HostSnapshotBytes is -1")]
    [TestCase(0, 0, "DeviceSnapshots is 0")]
    [TestCase(0, 257, "DeviceSnapshots is 257")]
    public void RefusesBadOptions(long hostBytes, int slots, string message) => Assert.That(
        () => new EngineOptions { HostSnapshotBytes = hostBytes, DeviceSnapshots = slots }.Resolve(TestModels.Tiny.Config),
        Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains(message));

    private static int[] Ids(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(2000))];
    }
}
