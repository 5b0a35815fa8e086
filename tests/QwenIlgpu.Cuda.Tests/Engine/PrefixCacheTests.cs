namespace QwenIlgpu.Cuda.Tests;

/// <summary>Prompts that begin where earlier ones were, by states and pages that the kernels of a GPU wrote: as if nobody had been there before.</summary>
internal sealed class PrefixCacheTests(int seed) : EngineFixture(seed)
{
    private const int Tokens = 3;

    // The second prompt parts from the first behind two pages, the third goes on with the answer of the first.
    [Category("Exhaustive")]
    [Test]
    public void WarmIsColdToTheBit()
    {
        int[] first = Prompt(140);
        using Run warm = new(PrefixCacheMode.Exact);
        (int[] answer, string drawn, int resumed) = warm.Answer(first);
        int[] parted = [.. first[..130], 7, 8, 9];
        int[] further = [.. first, .. answer, 5, 6];

        (_, string partedDrawn, int partedResumed) = warm.Answer(parted);
        (_, string furtherDrawn, int furtherResumed) = warm.Answer(further);

        Assert.That((resumed, partedResumed, furtherResumed), Is.EqualTo((0, 128, 128)));
        using Run cold = new(PrefixCacheMode.Off);
        Assert.That(drawn, Is.EqualTo(cold.Answer(first).Drawn));
        Assert.That(partedDrawn, Is.EqualTo(cold.Answer(parted).Drawn));
        Assert.That(furtherDrawn, Is.EqualTo(cold.Answer(further).Drawn));
    }

    private sealed class Run : IDisposable
    {
        private readonly StepRunner runner;
        private readonly Scheduler scheduler;

        public Run(PrefixCacheMode mode)
        {
            var options = new EngineOptions { MaxSequences = 1, ContextTokens = 192, CacheTokens = 512, PrefixCache = mode };
            runner = new StepRunner(Tiny, options.Resolve(Tiny.Config));
            scheduler = new Scheduler(runner);
        }

        public (int[] Ids, string Drawn, int ResumedTokens) Answer(int[] prompt)
        {
            ResolvedSampling sampling = ResolvedSampling.Resolve(
                new SamplingOptions { Temperature = 1, Seed = 3, TopLogProbs = 2 }, null, Tiny.VocabularySize, Tiny.HasToken, () => 0);
            var request = new GenerationRequest(prompt, Tokens, new HashSet<int>(), sampling, new TokenStream(Tokens, 2));
            scheduler.Enqueue(request);
            do
                scheduler.Update();
            while (scheduler.Step());
            string drawn = string.Join(' ', Enumerable.Range(0, Tokens).Select(i => request.Stream.LogProbsOf(i)!).Select(
                p => $"{p.TokenId}:{BitConverter.SingleToUInt32Bits(p.LogProbability):x8}"));
            return ([.. request.GeneratedIds], drawn, request.Sequence.ResumedTokens);
        }

        public void Dispose() => runner.Dispose();
    }
}
