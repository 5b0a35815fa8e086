using System.Collections.Frozen;
using System.Diagnostics;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cli.Bench;

/// <summary>Times one greedy sequence through the engine's own scheduler: a prompt in chunks, then one token a step.</summary>
internal sealed class StepBench : IDisposable
{
    /// <summary>Tokens that a sequence must have room for beyond prompt and answer for its nodes to be timed.</summary>
    public const int SpareTokens = 8;

    private const int BlockTokens = 64;

    private readonly QwenModel model;
    private readonly StepRunner runner;
    private readonly Scheduler scheduler;
    private readonly ResolvedSampling sampling;

    /// <summary>A bench for one sequence of at most so many tokens, prompt and answer together.</summary>
    public StepBench(QwenModel model, EngineOptions options, int sequenceTokens, bool cudaGraphs)
    {
        this.model = model;
        EngineCapacity capacity = (options with
        {
            MaxSequences = 1,
            ContextTokens = Math.Min(sequenceTokens + SpareTokens, model.MaxContextTokens),
        }).Resolve(model.Config);
        sampling = ResolvedSampling.Resolve(new SamplingOptions { Temperature = 0 }, null, model.VocabularySize, model.HasToken, () => 0);
        runner = new StepRunner(model, capacity, new StepRunnerOptions(Graphs: cudaGraphs));
        scheduler = new Scheduler(runner);
    }

    /// <summary>Device memory for state, activations and step inputs.</summary>
    public long StateBytes => runner.AllocatedBytes;

    public int PrefillChunkTokens => runner.Capacity.PrefillChunkTokens;

    /// <summary>Kernel launches of one decode step.</summary>
    public int LaunchesPerToken => DecodeGraph.Launches.Length;

    public OpGraph DecodeGraph => runner.GraphOf(StepShape.Decode(1)).Graph;

    // Each feeds one of the spare tokens, and so does the run ahead of them; two are for steps in flight.
    private const int NodeRuns = SpareTokens - 3;

    /// <summary>
    /// One whole pass: prompt, then tokens in parts of equal length, then, if asked for, the nodes of a decode step at that length. The
    /// prompt's pass draws the first token. Of a prompt that is skipped only the last block is computed; before it the cache is as it was.
    /// </summary>
    public BenchRun Run(int[] prompt, int decodeTokens, CancellationToken cancellation, int parts = 1, bool skipsPrompt = false, bool timesNodes = false,
        Action? beforePart = null)
    {
        int wantedTokens = decodeTokens + 1 + (timesNodes ? SpareTokens : 0);
        var stream = new TokenStream(wantedTokens, -1);
        var request = new GenerationRequest(prompt, wantedTokens, FrozenSet<int>.Empty, sampling, stream);
        if (skipsPrompt)
            request.Sequence.Feed((prompt.Length - 1) / BlockTokens * BlockTokens);
        scheduler.Enqueue(request);
        scheduler.Update();
        long start = Stopwatch.GetTimestamp();
        StepUntil(request, 1, cancellation);
        TimeSpan prefill = Stopwatch.GetElapsedTime(start);
        long bytes = 0;
        var tokens = new double[parts][];
        for (int part = 0; part < parts; part++)
        {
            beforePart?.Invoke();
            int from = request.GeneratedTokens;
            int to = 1 + (int)((part + 1L) * decodeTokens / parts);
            tokens[part] = new double[to - from];
            bytes -= GC.GetAllocatedBytesForCurrentThread();
            StepUntil(request, to, cancellation, tokens[part]);
            bytes += GC.GetAllocatedBytesForCurrentThread();
        }

        IReadOnlyList<NodeTime> nodes = timesNodes ? TimedRunner.Run(DecodeGraph, model.Device, NodeRuns) : [];
        request.Sequence.Cancel();
        scheduler.Update();
        while (scheduler.Step())
            cancellation.ThrowIfCancellationRequested();
        return new BenchRun(prefill, tokens, (double)bytes / decodeTokens, nodes);
    }

    /// <summary>Managed bytes that ILGPU itself allocates for the launches of one decode step.</summary>
    public double IlgpuBytesPerToken()
    {
        const int Steps = 10;
        Action run = model.Device.IsCpu ? EmptyReplay(model.Device) : runner.GraphOf(StepShape.Decode(1)).Runner.Run;
        run();
        long bytes = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < Steps; i++)
            run();
        return (double)(GC.GetAllocatedBytesForCurrentThread() - bytes) / Steps;
    }

    /// <summary>Time of every node of a prompt's first chunk.</summary>
    public IReadOnlyList<NodeTime> TimePrefillNodes(int[] prompt)
    {
        int count = Math.Min(runner.Capacity.PrefillChunkTokens, prompt.Length);
        LogitsWanted logits = count == prompt.Length ? LogitsWanted.Last : LogitsWanted.None;
        BoundStep step = runner.Run(StepKind.Prefill, [new StepSequence(Slot: 0, 0, prompt.AsMemory(0, count), logits)]);
        return TimedRunner.Run(step.Graph, model.Device, NodeRuns);
    }

    /// <summary>Logits of the last row of a short prompt, and of one decoded token after it: the two ways that a token takes.</summary>
    public (float[] Prefill, float[] Decode) LogitsOf(int[] prompt)
    {
        runner.State.SetPages(1, [1]);
        BoundStep step = runner.Run(
            StepKind.Prefill, [new StepSequence(Slot: 1, 0, prompt.AsMemory(0, prompt.Length - 1), LogitsWanted.Last)], samples: false);
        float[] prefill = runner.ReadLogits(step);
        step = runner.Run(
            StepKind.Decode, [new StepSequence(Slot: 1, prompt.Length - 1, prompt.AsMemory(prompt.Length - 1, 1), LogitsWanted.Last)], samples: false);
        return (prefill, runner.ReadLogits(step));
    }

    public void Dispose() => runner.Dispose();

    private static Action EmptyReplay(ComputeDevice device)
    {
        CpuSequence nothing = CpuSequence.Of([]);
        return () => device.Loader.Cpu.Run(device.Stream, nothing);
    }

    // What each token took goes to the span, where one is given.
    private void StepUntil(GenerationRequest request, int tokens, CancellationToken cancellation, Span<double> seconds = default)
    {
        long last = Stopwatch.GetTimestamp();
        for (int from = request.GeneratedTokens, reached = from; reached < tokens;)
        {
            cancellation.ThrowIfCancellationRequested();
            scheduler.Step();
            if (request.GeneratedTokens == reached)
                continue;
            long now = Stopwatch.GetTimestamp();
            if (!seconds.IsEmpty)
                seconds[reached - from] = (double)(now - last) / Stopwatch.Frequency;
            (last, reached) = (now, request.GeneratedTokens);
        }
    }
}

/// <summary>What one pass took.</summary>
/// <param name="Prefill">From the prompt to its first token.</param>
/// <param name="TokenSeconds">What every further token took, part by part.</param>
/// <param name="BytesPerToken">Managed bytes allocated per decoded token, on the thread that steps.</param>
/// <param name="Nodes">Times of a decode step's nodes at the length reached; empty where not asked for.</param>
internal sealed record BenchRun(TimeSpan Prefill, double[][] TokenSeconds, double BytesPerToken, IReadOnlyList<NodeTime> Nodes)
{
    /// <summary>What all further tokens took.</summary>
    public double DecodeSeconds => TokenSeconds.Sum(t => t.Sum());

    /// <summary>Tokens per second of each part of them.</summary>
    public IEnumerable<double> DecodeRates => TokenSeconds.Select(t => t.Length / t.Sum());
}
