namespace QwenIlgpu.Cuda.Tests;

/// <summary>A sequence that leaves the device and comes back, by copies that are queued between steps and not waited for.</summary>
internal sealed class PreemptionTests(int seed) : EngineFixture(seed)
{
    private const int Tokens = 6;

    [Category("Exhaustive")]
    [TestCase(long.MaxValue)]
    [TestCase(0)]
    public void WhoeverGivesUpItsPagesGoesOnWhereItWas(long spillBytes)
    {
        int[] expected = Answers(spillBytes, givesUp: false)[1];

        int[][] actual = Answers(spillBytes, givesUp: true);

        Assert.That(actual[1], Is.EqualTo(expected));
    }

    // Of the two the second leaves after three of its tokens and comes back to another slot and another page.
    private static int[][] Answers(long spillBytes, bool givesUp)
    {
        var options = new EngineOptions { MaxSequences = 3, ContextTokens = 64, SpillBytes = spillBytes };
        using var runner = new StepRunner(Tiny, options.Resolve(Tiny.Config), new StepRunnerOptions(StepsInFlight: 1));
        var scheduler = new Scheduler(runner);
        GenerationRequest[] requests = [NewRequest(Prompt(4), 1), NewRequest(Prompt(7)[4..], 2)];
        foreach (GenerationRequest request in requests)
            scheduler.Enqueue(request);
        do
        {
            if (givesUp && requests[1].GeneratedTokens == 3 && requests[1].Sequence.Slot != 0)
            {
                givesUp = false;
                scheduler.Preemption.GiveUpYoungest();
                scheduler.Step();
                (int slot, int page) = (scheduler.Live.Slots.Take(), scheduler.Live.Pages.Take());
                scheduler.Update();
                Assert.That(requests[1].Sequence.Slot, Is.Positive.And.Not.EqualTo(slot));
                scheduler.Live.Slots.Return(slot);
                scheduler.Live.Pages.Release(page);
            }

            scheduler.Update();
        }
        while (scheduler.Step());

        return [.. requests.Select(r => r.GeneratedIds.ToArray())];
    }

    private static GenerationRequest NewRequest(int[] prompt, ulong seed)
    {
        ResolvedSampling sampling = ResolvedSampling.Resolve(
            new SamplingOptions { Temperature = 1, TopK = 40, FrequencyPenalty = 0.5f, Seed = seed }, null, Tiny.VocabularySize, Tiny.HasToken, () => 0);
        return new GenerationRequest(prompt, Tokens, new HashSet<int>(), sampling, new TokenStream(Tokens, -1));
    }
}
