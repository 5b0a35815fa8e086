using System.Collections.Frozen;
using System.Diagnostics;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Cli.Bench;

/// <summary>
/// What it costs that prefill and decode steps alternate: the time of a prompt while other sequences decode, beside that of the same steps
/// each kind by itself, and beside steps that carry a row of every decoding sequence along with the prompt's.
/// </summary>
internal sealed class AlternationBench : IDisposable
{
    private const int ShortPromptTokens = 16;
    private const int SteadySteps = 8;

    private readonly QwenModel model;
    private readonly StepRunner runner;
    private readonly Scheduler scheduler;
    private readonly ResolvedSampling sampling;
    private readonly int[] prompt;
    private readonly int decoding;
    private readonly int answerTokens;

    /// <summary>A bench of one prompt beside so many decoding sequences.</summary>
    public AlternationBench(QwenModel model, EngineOptions options, int[] prompt, int decoding, bool cudaGraphs)
    {
        (this.model, this.prompt, this.decoding) = (model, prompt, decoding);

        // More than one token a step, however short the steps come out.
        answerTokens = (2 * SteadySteps) + ((prompt.Length + 63) / 64);
        int shortTokens = ShortPromptTokens + answerTokens;
        EngineCapacity capacity = (options with
        {
            MaxSequences = decoding + 1,
            ContextTokens = Math.Max(prompt.Length + 1, shortTokens),
            CacheTokens = EngineCapacity.WholePages(prompt.Length + 1) + (decoding * EngineCapacity.WholePages(shortTokens)) + EngineCapacity.WholePages(shortTokens),
        }).Resolve(model.Config);
        sampling = ResolvedSampling.Resolve(new SamplingOptions { Temperature = 0 }, null, model.VocabularySize, model.HasToken, () => 0);
        runner = new StepRunner(model, capacity, new StepRunnerOptions(Graphs: cudaGraphs));
        scheduler = new Scheduler(runner);
    }

    /// <summary>Tokens that the context must hold.</summary>
    public static int ContextTokens(int promptTokens) => Math.Max(promptTokens + 1, ShortPromptTokens + (2 * SteadySteps) + ((promptTokens + 63) / 64));

    /// <summary>A pass that warms up, then the medians of so many.</summary>
    public JsonObject Run(int passes, CancellationToken cancellation)
    {
        Measure(cancellation);
        Times[] times = [.. Enumerable.Range(0, passes).Select(_ => Measure(cancellation))];
        double prefill = Median.Of(times.Select(t => t.Prefill));
        double decodeStep = Median.Of(times.Select(t => t.DecodeStep));
        double both = Median.Of(times.Select(t => t.Both));
        double packed = Median.Of(times.Select(t => t.Packed));
        double decodeSteps = Median.Of(times.Select(t => t.DecodeSteps));
        return new JsonObject
        {
            ["decoding_sequences"] = decoding,
            ["prompt_tokens"] = prompt.Length,
            ["prefill_steps"] = (prompt.Length + runner.Capacity.PrefillChunkTokens - 1) / runner.Capacity.PrefillChunkTokens,
            ["decode_steps"] = decodeSteps,
            ["prefill_alone_ms"] = Milliseconds(prefill),
            ["decode_step_alone_ms"] = Milliseconds(decodeStep),
            ["alternating_ms"] = Milliseconds(both),
            ["packed_ms"] = Milliseconds(packed),
            ["switching_percent"] = JsonOutput.Rounded(100 * (both - prefill - (decodeSteps * decodeStep)) / both, 2),
            ["over_packed_percent"] = JsonOutput.Rounded(100 * (both - packed) / packed, 2),
            ["prompt_slowdown"] = JsonOutput.Rounded(both / prefill, 3),
            ["ms_between_tokens"] = Milliseconds(decodeSteps == 0 ? 0 : both / decodeSteps),
        };
    }

    public void Dispose() => runner.Dispose();

    private Times Measure(CancellationToken cancellation)
    {
        GenerationRequest alone = Enqueue(prompt, 1);
        scheduler.Update();
        long start = Stopwatch.GetTimestamp();
        StepUntil(() => alone.GeneratedTokens == 1, cancellation);
        double prefill = Stopwatch.GetElapsedTime(start).TotalSeconds;

        GenerationRequest[] others = [.. Enumerable.Range(0, decoding).Select(_ => Enqueue(prompt[..Math.Min(ShortPromptTokens, prompt.Length)], answerTokens))];
        scheduler.Update();
        StepUntil(() => others[^1].GeneratedTokens >= 2, cancellation);
        int before = others[^1].GeneratedTokens;
        start = Stopwatch.GetTimestamp();
        StepUntil(() => others[^1].GeneratedTokens >= before + SteadySteps, cancellation);
        double decodeStep = Stopwatch.GetElapsedTime(start).TotalSeconds / (others[^1].GeneratedTokens - before);

        GenerationRequest beside = Enqueue(prompt, 1);
        scheduler.Update();
        before = others[^1].GeneratedTokens;
        start = Stopwatch.GetTimestamp();
        StepUntil(() => beside.GeneratedTokens == 1, cancellation);
        double both = Stopwatch.GetElapsedTime(start).TotalSeconds;
        int decodeSteps = others[^1].GeneratedTokens - before;
        foreach (GenerationRequest other in others)
            other.Sequence.Cancel();
        scheduler.Update();
        while (scheduler.Step())
            cancellation.ThrowIfCancellationRequested();
        RunPacked(cancellation);
        start = Stopwatch.GetTimestamp();
        RunPacked(cancellation);
        return new Times(prefill, decodeStep, both, Stopwatch.GetElapsedTime(start).TotalSeconds, decodeSteps);
    }

    // The prompt's chunks, a row of every other sequence in each step: what is left of the chunk's rows is the prompt's.
    private void RunPacked(CancellationToken cancellation)
    {
        const int Page = Kernels.KvCache.PageTokens;
        int promptSlot = decoding + 1;
        int promptPages = EngineCapacity.WholePages(prompt.Length + 1) / Page;
        int otherPages = EngineCapacity.WholePages(ShortPromptTokens + answerTokens) / Page;
        runner.State.SetPages(promptSlot, [.. Enumerable.Range(1, promptPages)]);
        for (int other = 0; other < decoding; other++)
            runner.State.SetPages(other + 1, [.. Enumerable.Range(1 + promptPages + (other * otherPages), otherPages)]);
        int rows = Math.Max(Page, (runner.Capacity.PrefillChunkTokens - decoding) / Page * Page);
        int step = 0;
        for (int position = 0; position < prompt.Length; position += rows, step++)
        {
            cancellation.ThrowIfCancellationRequested();
            int count = Math.Min(rows, prompt.Length - position);
            int otherPosition = ShortPromptTokens + (step % answerTokens);
            LogitsWanted logits = position + count == prompt.Length ? LogitsWanted.Last : LogitsWanted.None;
            runner.Run(
                StepKind.Prefill,
                [
                    new StepSequence(promptSlot, position, prompt.AsMemory(position, count), logits),
                    .. Enumerable.Range(1, decoding).Select(slot => new StepSequence(slot, otherPosition, prompt.AsMemory(0, 1), LogitsWanted.Last)),
                ]);
        }

        model.Device.Synchronize();
    }

    private GenerationRequest Enqueue(int[] ids, int tokens)
    {
        var request = new GenerationRequest(ids, tokens, FrozenSet<int>.Empty, sampling, new TokenStream(tokens, -1));
        scheduler.Enqueue(request);
        return request;
    }

    private void StepUntil(Func<bool> done, CancellationToken cancellation)
    {
        while (!done())
        {
            cancellation.ThrowIfCancellationRequested();
            scheduler.Step();
        }
    }

    private static JsonNode? Milliseconds(double seconds) => JsonOutput.Rounded(1000 * seconds, 3);

    // Seconds of one pass, and the decode steps that ran beside the prompt.
    private readonly record struct Times(double Prefill, double DecodeStep, double Both, double Packed, double DecodeSteps);
}
