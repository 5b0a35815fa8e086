namespace QwenIlgpu.Tests;

/// <summary>Prompts that begin where earlier ones have been: how far, and that nobody can tell.</summary>
[NonParallelizable]
internal sealed class PrefixCacheTests
{
    private static readonly StepRunnerOptions Chunked = new(DeltaForm: DeltaPrefillForm.Chunked);

    private static GenerationOptions Options { get; } =
        new() { MaxTokens = 6, IgnoreEos = true, Sampling = new SamplingOptions { Temperature = 0, TopLogProbs = 2 } };

    [Test]
    public async Task SamePromptAgainIsPrefilledFromItsLastPageOn()
    {
        int[] prompt = Ids(300);
        await using var engine = new Engine(TestModels.Tiny, null, Chunked);

        GenerationUpdate[] cold = await Collect(engine.GenerateAsync(prompt, Options));
        GenerationUpdate[] warm = await Collect(engine.GenerateAsync(prompt, Options));

        Assert.That((cold[^1].Usage!.CachedTokens, warm[^1].Usage!.CachedTokens), Is.EqualTo((0, 256)));
        Assert.That(Drawn(warm), Is.EqualTo(Drawn(cold)));
    }

    private static string Drawn(GenerationUpdate[] updates) => string.Join(
        '\n', updates.SelectMany(u => u.LogProbs!).Select(l => $"{l.TokenId} {BitConverter.SingleToInt32Bits(l.LogProbability)} {string.Join(' ', l.Top)}"));

    private static async Task<GenerationUpdate[]> Collect(IAsyncEnumerable<GenerationUpdate> updates)
    {
        var all = new List<GenerationUpdate>();
        await foreach (GenerationUpdate update in updates)
            all.Add(update);
        return [.. all];
    }

    private static int[] Ids(int count) => [.. Enumerable.Range(0, count).Select(i => ((i * 131) + 7) % 2000)];
}
