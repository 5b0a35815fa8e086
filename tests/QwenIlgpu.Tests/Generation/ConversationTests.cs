namespace QwenIlgpu.Tests;

/// <summary>Random conversations, several at once, on an engine whose prefix cache is far too small for them.</summary>
[NonParallelizable]
internal sealed class ConversationTests
{
    private const int AtOnce = 3;
    // Sums of decode and of prefill differ in order; a key or value that they round to another bf16 counts for more.
    private const double ReuseBound = 1e-3;

    private static EngineOptions Capacity { get; } = new() { MaxSequences = AtOnce, ContextTokens = 2048, CacheTokens = 4096, PrefillChunkTokens = 256 };

    // In the chunked form prefill and decode differ in bits, so that a wrong origin shows; it is slow on the CPU.
    [TestCase(1, 2, 4, 0.5, DeltaPrefillForm.Chunked)]
    [TestCase(2, 8, 3, 0.4, DeltaPrefillForm.Recurrent)]
    [TestCase(3, 150, 5, 1, DeltaPrefillForm.Recurrent, Category = "Exhaustive")]
    [TestCase(4, 50, 5, 1, DeltaPrefillForm.Chunked, Category = "Exhaustive")]
    [TestCase(5, 450, 4, 0.4, DeltaPrefillForm.Chunked, Category = "Exhaustive")]
    public async Task ExactAnswersAreThoseWithoutACacheBitForBit(int seed, int conversations, int requests, double length, DeltaPrefillForm form)
    {
        PrefixCacheUsage usage = await CompareAsync(PrefixCacheMode.Exact, 12, seed, conversations, requests, length, form, (actual, expected) =>
            Assert.That(Drawn(actual), Is.EqualTo(Drawn(expected)), $"{actual[^1].Usage}"));

        TestContext.Out.WriteLine($"{usage}");
        Assert.That(usage.Hits, Is.GreaterThan(usage.Requests / 4), "else little has been shown");
        Assert.That(usage.HostBytes, Is.Positive, "else nothing has moved to the host");
    }

    // Drawn tokens are compared up to the first that differs: two that are as likely may change places.
    [TestCase(6, 40, 5, 1, DeltaPrefillForm.Chunked, Category = "Exhaustive")]
    public async Task ReusedAnswersAgreeWithThoseWithoutACache(int seed, int conversations, int requests, double length, DeltaPrefillForm form)
    {
        int agreeing = 0;
        int all = 0;
        double worst = 0;
        PrefixCacheUsage usage = await CompareAsync(PrefixCacheMode.Reuse, 90, seed, conversations, requests, length, form, (actual, expected) =>
        {
            foreach ((TokenLogProbs one, TokenLogProbs other) in actual.SelectMany(u => u.LogProbs!).Zip(expected.SelectMany(u => u.LogProbs!)))
            {
                all++;
                if (one.TokenId != other.TokenId)
                    break;
                worst = Math.Max(worst, Math.Abs(one.LogProbability - other.LogProbability));
                agreeing++;
            }
        });

        TestContext.Out.WriteLine($"{agreeing} of {all} tokens, max |Δ| = {worst:G3}, {usage}");
        Assert.That(worst, Is.LessThanOrEqualTo(ReuseBound));
        Assert.That(agreeing, Is.GreaterThan(0.95 * all));
        Assert.That(usage.Hits, Is.Positive, "else nothing has been shown");
    }

    private static async Task<PrefixCacheUsage> CompareAsync(
        PrefixCacheMode mode, int mostTokens, int seed, int conversations, int requests, double length, DeltaPrefillForm form,
        Action<GenerationUpdate[], GenerationUpdate[]> compare)
    {
        var runner = new StepRunnerOptions(DeltaForm: form);
        const long StateBytes = 6 * (98_304 + 10_240);
        await using var cold = new Engine(TestModels.Tiny, Capacity with { PrefixCache = PrefixCacheMode.Off }, runner);
        await using var warm = new Engine(TestModels.Tiny, Capacity with { PrefixCache = mode, DeviceSnapshots = 3, HostSnapshotBytes = 4 * StateBytes }, runner);
        foreach (int[] together in Enumerable.Range(seed * 1000, conversations).Chunk(AtOnce))
            await Task.WhenAll(together.Select(conversation => RunAsync(new Conversations(conversation, length), requests, mostTokens, warm, cold, compare)));
        return warm.PrefixCache;
    }

    private static async Task RunAsync(
        Conversations conversation, int requests, int mostTokens, Engine warm, Engine cold, Action<GenerationUpdate[], GenerationUpdate[]> compare)
    {
        string? answer = null;
        for (int i = 0; i < requests; i++)
        {
            (PromptMessage[] messages, ChatTemplateOptions template) = conversation.Next(answer);
            var options = new GenerationOptions
            {
                MaxTokens = 1 + conversation.Draw(mostTokens),
                IgnoreEos = true,
                Sampling = new SamplingOptions { Temperature = 1, Seed = (ulong)conversation.Draw(1000), TopLogProbs = 2 },
            };
            if (conversation.Draw(6) == 0)
            {
                await LeaveAsync(warm.GenerateAsync(messages, template, options), conversation.Draw(3));
                answer = null;
                continue;
            }

            GenerationUpdate[] actual = await CollectAsync(warm.GenerateAsync(messages, template, options));
            GenerationUpdate[] expected = await CollectAsync(cold.GenerateAsync(messages, template, options));
            lock (compare)
                compare(actual, expected);
            answer = string.Concat(actual.Select(u => u.Text));
        }
    }

    private static async Task LeaveAsync(IAsyncEnumerable<GenerationUpdate> updates, int count)
    {
        await foreach (GenerationUpdate _ in updates)
        {
            if (count-- == 0)
                return;
        }
    }

    private static string Drawn(GenerationUpdate[] updates) => string.Join(
        '\n', updates.SelectMany(u => u.LogProbs!).Select(l => $"{l.TokenId} {BitConverter.SingleToInt32Bits(l.LogProbability)} {string.Join(' ', l.Top)}"));

    private static async Task<GenerationUpdate[]> CollectAsync(IAsyncEnumerable<GenerationUpdate> updates)
    {
        var all = new List<GenerationUpdate>();
        await foreach (GenerationUpdate update in updates)
            all.Add(update);
        return [.. all];
    }
}
