using System.Globalization;

namespace QwenIlgpu.Tests;

/// <summary>A scheduler with a prefix cache, and what requests yield there, to the bit.</summary>
internal sealed class PrefixRuns : IDisposable
{
    public PrefixRuns(EngineOptions options, int stepsInFlight = 1, DeltaPrefillForm form = DeltaPrefillForm.Fastest)
    {
        Runner = new StepRunner(
            TestModels.Tiny, options.Resolve(TestModels.Tiny.Config), new StepRunnerOptions(StepsInFlight: stepsInFlight, DeltaForm: form));
        Scheduler = new Scheduler(Runner);
    }

    public StepRunner Runner { get; }

    public Scheduler Scheduler { get; }

    public PrefixTree Tree => Scheduler.Prefixes.Tree;

    public static GenerationRequest Request(int[] prompt, int maxTokens = 4, ulong? seed = null)
    {
        var sampling = new SamplingOptions { Temperature = seed is null ? 0 : 1, Seed = seed, TopLogProbs = 2 };
        ResolvedSampling resolved = ResolvedSampling.Resolve(sampling, null, TestModels.Tiny.VocabularySize, static _ => true, () => 0);
        return new GenerationRequest(prompt, maxTokens, new HashSet<int>(), resolved, new TokenStream(maxTokens, 2));
    }

    /// <summary>Admits a request, if there is room.</summary>
    public GenerationRequest Begin(GenerationRequest request)
    {
        Scheduler.Enqueue(request);
        Scheduler.Update();
        return request;
    }

    /// <summary>Runs requests to their end, with the invariants checked after each step.</summary>
    public void Run(params GenerationRequest[] requests)
    {
        foreach (GenerationRequest request in requests)
            Scheduler.Enqueue(request);
        do
        {
            Scheduler.Update();
            SchedulerInvariants.Check(Scheduler, Runner);
        }
        while (Scheduler.Step());
    }

    /// <summary>Runs a prompt to its end; what it drew.</summary>
    public (string Drawn, int ResumedTokens) Answer(int[] prompt, int maxTokens = 4)
    {
        GenerationRequest request = Request(prompt, maxTokens);
        Run(request);
        return (DrawnBy(request), request.Sequence.ResumedTokens);
    }

    /// <summary>Fails unless everything is free once the tree has been cleared.</summary>
    public void AssertNothingIsLeft()
    {
        Assert.That(Scheduler.Count, Is.Zero);
        Scheduler.Prefixes.Clear();
        SchedulerInvariants.Check(Scheduler, Runner);
        Assert.That((Tree.Pages, Tree.Checkpoints.Count), Is.EqualTo((0, 0)));
        Assert.That(Scheduler.Live.Pages.Available, Is.EqualTo(Scheduler.Live.Pages.Count));
        Assert.That((Scheduler.Prefixes.Store.SlotsTaken, Scheduler.Prefixes.Store.HostTaken), Is.EqualTo((0, 0)));
    }

    /// <summary>Tokens and log-probabilities as bits, a line each.</summary>
    public static string DrawnBy(GenerationRequest request) => string.Join(
        '\n', Enumerable.Range(0, request.GeneratedTokens).Select(i => Text(request.Stream.LogProbsOf(i)!)));

    public void Dispose() => Runner.Dispose();

    private static string Text(TokenLogProbs token) =>
        $"{token.TokenId} {Bits(token.LogProbability)} {string.Join(' ', token.Top.Select(t => $"{t.TokenId}:{Bits(t.LogProbability)}"))}";

    private static string Bits(float value) => BitConverter.SingleToUInt32Bits(value).ToString("x8", CultureInfo.InvariantCulture);
}
