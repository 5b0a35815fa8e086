namespace QwenIlgpu.Tests;

/// <summary>
/// Random conversations, several at once, on an engine whose prefix cache is far too small for them, in the form of the delta rule in which
/// prefill and decode differ in bits.
/// </summary>
[NonParallelizable]
internal sealed class ConversationTests
{
    private const int AtOnce = 3;
    private const int Requests = 5;

    private static readonly StepRunnerOptions Chunked = new(DeltaForm: DeltaPrefillForm.Chunked);

    private static EngineOptions Capacity { get; } = new() { MaxSequences = AtOnce, ContextTokens = 2048, CacheTokens = 4096, PrefillChunkTokens = 256 };

    [TestCase(1, 10)]
    [TestCase(2, 500, Category = "Exhaustive")]
    public async Task ExactAnswersAreThoseWithoutACacheBitForBit(int seed, int conversations)
    {
        long stateBytes = await StateBytesAsync();
        await using var cold = new Engine(TestModels.Tiny, Capacity with { PrefixCache = PrefixCacheMode.Off }, Chunked);
        await using var warm = new Engine(TestModels.Tiny, Capacity with { DeviceSnapshots = 3, HostSnapshotBytes = 4 * stateBytes }, Chunked);

        int[] all = [.. Enumerable.Range(seed * 1000, conversations)];
        foreach (int[] together in all.Chunk(AtOnce))
            await Task.WhenAll(together.Select(conversation => RunAsync(new Conversations(conversation), warm, cold)));

        PrefixCacheUsage usage = warm.PrefixCache;
        TestContext.Out.WriteLine($"{usage}");
        Assert.That(usage.Hits, Is.GreaterThan(usage.Requests / 4), "else little has been shown");
        Assert.That(usage.HostBytes, Is.EqualTo(4 * stateBytes), "else nothing has moved to the host");
    }

    private static async Task RunAsync(Conversations conversation, Engine warm, Engine cold)
    {
        string? answer = null;
        for (int i = 0; i < Requests; i++)
        {
            (PromptMessage[] messages, ChatTemplateOptions template) = conversation.Next(answer);
            var options = new GenerationOptions
            {
                MaxTokens = 1 + conversation.Draw(12),
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
            Assert.That(Drawn(actual), Is.EqualTo(Drawn(expected)), $"{actual[^1].Usage}");
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

    private static async Task<long> StateBytesAsync()
    {
        using var sequences = new SequenceRunner(TestModels.Tiny, maxSequences: 1);
        return await Task.FromResult(sequences.Runner.State.StateBytesPerSlot);
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
