using System.Globalization;

namespace QwenIlgpu.Tests;

/// <summary>What decode wrote: who goes on from it and how far the answers then agree; and that what is mistaken for prefill's shows.</summary>
[NonParallelizable]
internal sealed class PrefixOriginTests
{
    // As decode and prefill of the same tokens agree in f32: see PathEqualityTests.
    private const double Bound = 1e-4;

    private static EngineOptions Capacity { get; } =
        new() { MaxSequences = 2, ContextTokens = 512, CacheTokens = 1536, PrefillChunkTokens = 128, KvType = KvType.F32 };

    [Test]
    public void AnAnswerIsGoneOnFromInReuseAndNotInExact()
    {
        using var reuse = new PrefixRuns(Capacity with { PrefixCache = PrefixCacheMode.Reuse }, stepsInFlight: 2, DeltaPrefillForm.Chunked);
        using var exact = new PrefixRuns(Capacity, form: DeltaPrefillForm.Chunked);
        using var cold = new PrefixRuns(Capacity with { PrefixCache = PrefixCacheMode.Off }, form: DeltaPrefillForm.Chunked);
        GenerationRequest first = PrefixRuns.Request(Ids(100), 100);
        reuse.Run(first);
        exact.Run(PrefixRuns.Request(Ids(100), 100));
        int[] next = [.. Ids(100), .. first.GeneratedIds, 5, 6, 7];

        (string coldDrawn, _) = cold.Answer(next, 8);
        (string exactDrawn, int exactTokens) = exact.Answer(next, 8);
        GenerationRequest request = PrefixRuns.Request(next, 8);
        reuse.Run(request);

        Assert.That((exactTokens, exactDrawn), Is.EqualTo((64, coldDrawn)));
        Assert.That(request.Sequence.ResumedTokens, Is.EqualTo(192), "of 100 and 99 fed");
        Assert.That((request.Sequence.Origin, request.Sequence.IsReplayable, first.Sequence.IsReplayable), Is.EqualTo((PrefixOrigin.Decode, false, true)));
        AssertAgree(PrefixRuns.DrawnBy(request), coldDrawn);
        Assert.That(PrefixRuns.DrawnBy(request), Is.Not.EqualTo(coldDrawn), "else prefill and decode do not differ here, and the exact mode shows nothing");
        Assert.That(
            reuse.Tree.Match(next, next.Length, PrefixOrigin.Prefill).CachedTokens, Is.EqualTo(64), "what was prefilled behind decode's state is decode's");
        reuse.AssertNothingIsLeft();
    }

    // The step that ends the second page is queued; one of its two tokens in flight has not reached the host when the request is left.
    [TestCase(false, 64)]
    [TestCase(true, 128)]
    public void ACopyCountsOnceItsStepsTokenIsThere(bool isDelivered, int expected)
    {
        using var runs = new PrefixRuns(Capacity with { PrefixCache = PrefixCacheMode.Reuse }, stepsInFlight: 2, DeltaPrefillForm.Chunked);
        GenerationRequest request = runs.Begin(PrefixRuns.Request(Ids(100), 100));
        while (request.CachedTokens < 128)
            runs.Scheduler.Step();
        Assert.That((request.Sequence.Rolling.Tokens, request.GeneratedTokens), Is.EqualTo((128, 28)), "of 29 that are queued");
        if (isDelivered)
            runs.Scheduler.Step();
        int[] prompt = [.. Ids(100), .. request.GeneratedIds, .. Ids(50)];

        request.Sequence.Cancel();
        runs.Scheduler.Update();

        Assert.That(runs.Tree.Match(prompt, prompt.Length, PrefixOrigin.Decode).CachedTokens, Is.EqualTo(expected));
        runs.Run();
        runs.AssertNothingIsLeft();
    }

    // What it has handed out could not be computed again to the bit; it lies on the host, whatever the budget.
    [Test]
    public void WhoeverGoesOnFromAnAnswerIsNotComputedAgain()
    {
        string[] drawn = new string[2];
        for (int round = 0; round < 2; round++)
        {
            using var runs = new PrefixRuns(Capacity with { PrefixCache = PrefixCacheMode.Reuse, SpillBytes = 0 }, form: DeltaPrefillForm.Chunked);
            GenerationRequest first = PrefixRuns.Request(Ids(60), 70);
            runs.Run(first);
            GenerationRequest second = runs.Begin(PrefixRuns.Request([.. Ids(60), .. first.GeneratedIds, 5], 10));
            while (second.GeneratedTokens < 5)
                runs.Scheduler.Step();
            int fed = second.CachedTokens;
            if (round == 1)
            {
                runs.Scheduler.Preemption.GiveUpYoungest();
                runs.Tree.Clear();
                runs.Scheduler.Update();
            }

            Assert.That((second.CachedTokens, second.Sequence.Origin, second.Sequence.ResumedTokens), Is.EqualTo((fed, PrefixOrigin.Decode, 128)));
            runs.Run();
            drawn[round] = PrefixRuns.DrawnBy(second);
        }

        Assert.That(drawn[1], Is.EqualTo(drawn[0]));
    }

    [Test]
    public void HalfOfTheSlotsAreLeftToPrompts()
    {
        using var runs = new PrefixRuns(Capacity with { PrefixCache = PrefixCacheMode.Reuse, DeviceSnapshots = 2, HostSnapshotBytes = 0 });
        GenerationRequest[] requests = [PrefixRuns.Request(Ids(60), 40), PrefixRuns.Request([1, .. Ids(59)], 40)];
        foreach (GenerationRequest request in requests)
            runs.Scheduler.Enqueue(request);
        runs.Scheduler.Update();
        while (requests[1].GeneratedTokens < 10)
            runs.Scheduler.Step();

        Assert.That(requests.Select(r => r.Sequence.Rolling.Tokens), Is.EqualTo(new[] { 64, 0 }));
        runs.Run();
        Assert.That(runs.Tree.Pages, Is.EqualTo(1));
        runs.AssertNothingIsLeft();
    }

    /// <summary>A checkpoint behind 128 tokens that is right, and such as are wrong in one thing.</summary>
    public enum Plant
    {
        Right,
        DecodeTakenForPrefill,
        StateOneTokenFurther,
        StateOnePageShort,
        PagesInWrongOrder,
    }

    [Test]
    public void AWrongCheckpointShows([Values] Plant plant)
    {
        using var warm = new PrefixRuns(Capacity, form: DeltaPrefillForm.Chunked);
        using var cold = new PrefixRuns(Capacity with { PrefixCache = PrefixCacheMode.Off }, form: DeltaPrefillForm.Chunked);
        GenerationRequest source = warm.Begin(PrefixRuns.Request(plant == Plant.DecodeTakenForPrefill ? Ids(70) : Ids(129), 100));
        int tokens = plant switch { Plant.Right or Plant.DecodeTakenForPrefill => 128, Plant.StateOneTokenFurther => 129, Plant.StateOnePageShort => 64, _ => 128 };
        int[] ids = Keep(warm, source, tokens, plant == Plant.PagesInWrongOrder);

        (string drawn, int resumed) = warm.Answer([.. ids, 5, 6, 7]);

        Assert.That(resumed, Is.EqualTo(128));
        string expected = cold.Answer([.. ids, 5, 6, 7]).Drawn;
        Assert.That(drawn, plant == Plant.Right ? Is.EqualTo(expected) : Is.Not.EqualTo(expected));
    }

    // Puts the state of a live sequence behind so many tokens into the tree, as if prefill had left it behind 128.
    private static int[] Keep(PrefixRuns runs, GenerationRequest source, int tokens, bool reversed)
    {
        int slot = 0;
        if (tokens <= source.Sequence.Ids.Length && tokens < 129)
        {
            slot = runs.Scheduler.Prefixes.Store.TakeSlot(runs.Tree);
            runs.Runner.Run(
                StepKind.Prefill,
                [new StepSequence(source.Sequence.Slot, 0, source.Sequence.Ids.AsMemory(0, 128), LogitsWanted.None, Snapshots: [new StateSnapshot(tokens, slot)])],
                samples: false);
        }
        else
        {
            while (source.CachedTokens < tokens)
                runs.Scheduler.Step();
            slot = runs.Scheduler.Prefixes.Store.TakeSlot(runs.Tree);
            runs.Runner.State.CopyState(source.Sequence.Slot, slot);
        }

        int[] ids = [.. source.Sequence.Ids, .. source.GeneratedIds];
        int[] pages = source.Sequence.Pages[..2].ToArray();
        if (reversed)
            Array.Reverse(pages);
        runs.Scheduler.Prefixes.Clear();
        Assert.That(runs.Tree.Insert(ids.AsMemory(0, 128), pages, new StateCopy(slot, PrefixOrigin.Prefill)), Is.True);
        source.Sequence.Cancel();
        runs.Scheduler.Update();
        return ids[..128];
    }

    private static void AssertAgree(string actual, string expected)
    {
        foreach ((string one, string other) in actual.Split('\n').Zip(expected.Split('\n')))
        {
            (string[] a, string[] b) = (one.Split(' '), other.Split(' '));
            Assert.That(a[0], Is.EqualTo(b[0]), "the token drawn");
            Assert.That(Value(a[1]), Is.EqualTo(Value(b[1])).Within(Bound));
        }
    }

    private static float Value(string bits) => BitConverter.UInt32BitsToSingle(uint.Parse(bits, NumberStyles.HexNumber, CultureInfo.InvariantCulture));

    private static int[] Ids(int count) => [.. Enumerable.Range(0, count).Select(i => ((i * 131) + 7) % 2000)];
}
