using System.Collections.Frozen;
using System.Diagnostics;

namespace QwenIlgpu.Cli;

/// <summary>Times one greedy sequence through the engine's own scheduler: a prompt in chunks, then one token a step.</summary>
internal sealed class StepBench : IDisposable
{
    private readonly QwenModel model;
    private readonly StepRunner runner;
    private readonly Scheduler scheduler;
    private readonly int[] prompt;
    private readonly int decodeTokens;
    private readonly ResolvedSampling sampling;

    public StepBench(QwenModel model, PageType pageType, int promptTokens, int decodeTokens, bool cudaGraphs)
    {
        (this.model, this.decodeTokens) = (model, decodeTokens);
        prompt = PromptOf(model, promptTokens);
        EngineCapacity capacity = new EngineOptions
        {
            MaxSequences = 1,
            ContextTokens = promptTokens + decodeTokens,
            PageType = pageType,
        }.Resolve(model.Config);
        sampling = ResolvedSampling.Resolve(new SamplingOptions { Temperature = 0 }, null, model.Tokenizer.VocabularySize, () => 0);
        runner = new StepRunner(model, capacity, new StepRunnerOptions(Graphs: cudaGraphs));
        scheduler = new Scheduler(runner);
    }

    /// <summary>Device memory for state, activations and step inputs.</summary>
    public long StateBytes => runner.AllocatedBytes;

    /// <summary>Kernel launches of one decode step.</summary>
    public int LaunchesPerToken => DecodeGraph.Launches.Length;

    private OpGraph DecodeGraph => runner.GraphOf(StepShape.Decode(1)).Graph;

    /// <summary>One whole pass: prompt, then tokens. The prompt's pass draws the first token.</summary>
    public BenchRun Run(CancellationToken cancellation)
    {
        var stream = new TokenStream(decodeTokens + 1, -1);
        var request = new GenerationRequest(prompt, decodeTokens + 1, FrozenSet<int>.Empty, sampling, stream);
        scheduler.Enqueue(request);
        scheduler.Update();
        long start = Stopwatch.GetTimestamp();
        StepUntil(request, 1, cancellation);
        TimeSpan prefill = Stopwatch.GetElapsedTime(start);
        long bytes = GC.GetAllocatedBytesForCurrentThread();
        start = Stopwatch.GetTimestamp();
        StepUntil(request, decodeTokens + 1, cancellation);
        TimeSpan decode = Stopwatch.GetElapsedTime(start);
        bytes = GC.GetAllocatedBytesForCurrentThread() - bytes;
        return new BenchRun(prefill, decode, (double)bytes / decodeTokens);
    }

    /// <summary>Managed bytes that ILGPU itself allocates for the launches of one decode step.</summary>
    public double IlgpuBytesPerToken()
    {
        const int Steps = 10;
        OpGraph graph = DecodeGraph;
        long bytes = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < Steps; i++)
            StreamRunner.Run(graph, model.Device.Stream);
        return (double)(GC.GetAllocatedBytesForCurrentThread() - bytes) / Steps;
    }

    /// <summary>Time of every node of a decode step, its sequence having just ended.</summary>
    public IReadOnlyList<NodeTime> TimeDecodeNodes() => TimedRunner.Run(DecodeGraph, model.Device.Stream);

    /// <summary>Time of every node of the prompt's first chunk, run once more.</summary>
    public IReadOnlyList<NodeTime> TimePrefillNodes()
    {
        int count = Math.Min(runner.Capacity.PrefillChunkTokens, prompt.Length);
        LogitsWanted logits = count == prompt.Length ? LogitsWanted.Last : LogitsWanted.None;
        BoundStep step = runner.Run(StepKind.Prefill, [new StepSequence(Slot: 0, 0, prompt.AsMemory(0, count), logits)]);
        return TimedRunner.Run(step.Graph, model.Device.Stream);
    }

    public void Dispose() => runner.Dispose();

    private void StepUntil(GenerationRequest request, int tokens, CancellationToken cancellation)
    {
        while (request.GeneratedTokens < tokens)
        {
            cancellation.ThrowIfCancellationRequested();
            scheduler.Step();
        }
    }

    // A text of the asked length, the same in every run.
    private static int[] PromptOf(QwenModel model, int tokens)
    {
        int[] text = model.Tokenize(
            "The quick brown fox jumps over the lazy dog. Once upon a time there was a small river in a large forest. ");
        return [.. Enumerable.Range(0, tokens).Select(i => text[i % text.Length])];
    }
}

/// <summary>What one pass took.</summary>
/// <param name="Prefill">From the prompt to its first token.</param>
/// <param name="Decode">All further tokens.</param>
/// <param name="BytesPerToken">Managed bytes allocated per decoded token, on the thread that steps.</param>
internal sealed record BenchRun(TimeSpan Prefill, TimeSpan Decode, double BytesPerToken);
