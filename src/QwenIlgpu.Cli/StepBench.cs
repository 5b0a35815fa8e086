using System.Diagnostics;
using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Cli;

/// <summary>
/// Times one sequence through the engine's own steps: a prompt in chunks, then one token a step, greedy, each step ended by
/// reading back what it drew.
/// </summary>
internal sealed class StepBench : IDisposable
{
    private const int PageTokens = Kernels.KvCache.PageTokens;
    private const int Slot = 1;

    private readonly QwenModel model;
    private readonly StepRunner runner;
    private readonly int[] prompt;
    private readonly int decodeTokens;
    private readonly ResolvedSampling sampling;
    private readonly int[] token = new int[1];

    public StepBench(QwenModel model, PageType pageType, int promptTokens, int decodeTokens)
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
        runner = new StepRunner(model, capacity);
        for (int block = 0; block < capacity.State.PagesPerSequence; block++)
            runner.State.SetPage(Slot, block, block + 1);
    }

    /// <summary>Device memory for state, activations and step inputs.</summary>
    public long StateBytes => runner.AllocatedBytes;

    /// <summary>Kernel launches of one decode step.</summary>
    public int LaunchesPerToken => DecodeGraph.Launches.Length;

    private OpGraph DecodeGraph => runner.GraphOf(StepShape.Decode(1)).Graph;

    /// <summary>One whole pass: prompt, then tokens.</summary>
    public BenchRun Run(CancellationToken cancellation)
    {
        runner.Sampler.Admit(Slot, prompt, sampling);
        long start = Stopwatch.GetTimestamp();
        Prefill(cancellation);
        TimeSpan prefill = Stopwatch.GetElapsedTime(start);
        long bytes = GC.GetAllocatedBytesForCurrentThread();
        start = Stopwatch.GetTimestamp();
        for (int i = 0; i < decodeTokens; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            DecodeStep(prompt.Length + i);
        }

        TimeSpan decode = Stopwatch.GetElapsedTime(start);
        bytes = GC.GetAllocatedBytesForCurrentThread() - bytes;
        return new BenchRun(prefill, decode, (double)bytes / decodeTokens);
    }

    /// <summary>Managed bytes that ILGPU itself allocates for one decode step: its launches, a copy to the device and one back.</summary>
    public double IlgpuBytesPerToken()
    {
        const int Steps = 10;
        OpGraph graph = DecodeGraph;
        using var memory = new DeviceMemory(model.Device);
        ArrayView<int> view = memory.AllocateZeroed<int>(1);
        long bytes = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < Steps; i++)
        {
            view.CopyFromCPU(model.Device.Stream, token);
            StreamRunner.Run(graph, model.Device.Stream);
            runner.Sampler.ReadBack(1);
        }

        return (double)(GC.GetAllocatedBytesForCurrentThread() - bytes) / Steps;
    }

    /// <summary>Time of every node of the last decode step, run once more.</summary>
    public IReadOnlyList<NodeTime> TimeDecodeNodes() => TimedRunner.Run(DecodeGraph, model.Device.Stream);

    /// <summary>Time of every node of the prompt's first chunk, run once more.</summary>
    public IReadOnlyList<NodeTime> TimePrefillNodes()
    {
        BoundStep step = runner.Run(StepKind.Prefill, [Chunk(0)]);
        return TimedRunner.Run(step.Graph, model.Device.Stream);
    }

    public void Dispose() => runner.Dispose();

    private void Prefill(CancellationToken cancellation)
    {
        for (int position = 0; position < prompt.Length;)
        {
            cancellation.ThrowIfCancellationRequested();
            StepSequence chunk = Chunk(position);
            runner.Run(StepKind.Prefill, [chunk]);
            position += chunk.Tokens.Length;
        }

        TakeToken();
    }

    private StepSequence Chunk(int position)
    {
        int count = Math.Min(runner.Capacity.PrefillChunkTokens, prompt.Length - position);
        bool last = position + count == prompt.Length;
        return new StepSequence(Slot, position, prompt.AsMemory(position, count), last ? LogitsWanted.Last : LogitsWanted.None);
    }

    private void DecodeStep(int position)
    {
        runner.Run(StepKind.Decode, [new StepSequence(Slot, position, token, LogitsWanted.Last)]);
        TakeToken();
    }

    private void TakeToken()
    {
        runner.Sampler.ReadBack(1);
        token[0] = Math.Max(runner.Sampler.IdOf(0), 0);
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
