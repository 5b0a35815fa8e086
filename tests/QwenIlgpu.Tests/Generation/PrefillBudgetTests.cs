namespace QwenIlgpu.Tests;

/// <summary>How long a prefill step may be.</summary>
internal sealed class PrefillBudgetTests
{
    private static readonly SamplingOptions Greedy = new() { Temperature = 0 };

    [TestCase(0L, 2048, 2048)]
    [TestCase(10_000L, 2048, 64)]
    [TestCase(32_768L, 2048, 256)]
    [TestCase(32_767L, 2048, 128)]
    [TestCase(32_768L, 448, 192)]
    public void LengthIsHalvedUntilItFits(long budgetBytes, int mostTokens, int expectedTokens)
    {
        EngineCapacity capacity = new EngineOptions().Resolve(TestModels.Tiny.Config);

        PrefillBudget budget = PrefillBudget.Fit(capacity, mostTokens, budgetBytes == 0 ? long.MaxValue : budgetBytes, s => 128L * s.Rows);

        Assert.That(budget, Is.EqualTo(new PrefillBudget(expectedTokens, 128L * expectedTokens)));
    }

    [Test]
    public void StepThatIsMeasuredHoldsAllSequences()
    {
        EngineCapacity capacity = new EngineOptions { MaxSequences = 64 }.Resolve(TestModels.Tiny.Config);
        StepShape? measured = null;

        PrefillBudget.Fit(capacity, 64, 1, s => (measured = s) is null ? 0 : 1);

        Assert.That(measured, Is.EqualTo(new StepShape(StepKind.Prefill, 64, 64, 64, 64, Samples: true, 64)));
    }

    [TestCase(0, 1000L, "64 tokens", "ActivationBytes is 1000", "raise it")]
    [TestCase(512, 60_000L, "512 tokens", "ActivationBytes is 60000", "lower PrefillChunkTokens")]
    public void WhatDoesNotFitIsRefusedWithBothNumbers(int chunkTokens, long budgetBytes, params string[] parts)
    {
        EngineCapacity capacity = new EngineOptions { PrefillChunkTokens = chunkTokens, ActivationBytes = budgetBytes }.Resolve(TestModels.Tiny.Config);

        var error = Assert.Throws<InsufficientMemoryException>(
            () => PrefillBudget.Fit(capacity, chunkTokens == 0 ? 2048 : chunkTokens, budgetBytes, s => 128L * s.Rows));

        foreach (string part in (string[])[.. parts, (chunkTokens == 0 ? 8192 : 65_536).ToString(System.Globalization.CultureInfo.InvariantCulture)])
            Assert.That(error!.Message, Does.Contain(part));
    }

    [Test]
    public async Task EngineKeepsToTheBudgetAndAnswersAlike()
    {
        int[] prompt = [.. Enumerable.Range(0, 500).Select(i => (i * 37) % 2000)];
        await using var whole = new Engine(TestModels.Tiny, new EngineOptions { KvType = KvType.F32 });
        long wholeBytes = ActivationBytes(whole.PrefillChunkTokens);

        await using var halved = new Engine(TestModels.Tiny, new EngineOptions { KvType = KvType.F32, ActivationBytes = wholeBytes - 1 });

        if (TestModels.Device == DeviceSelection.Cpu)
            Assert.That(whole.PrefillChunkTokens, Is.EqualTo(512));
        Assert.That(halved.PrefillChunkTokens, Is.EqualTo(whole.PrefillChunkTokens / 2));
        Assert.That(await AnswerAsync(halved, prompt), Is.EqualTo(await AnswerAsync(whole, prompt)));
        Assert.That(
            () => new Engine(TestModels.Tiny, new EngineOptions { ActivationBytes = 1000 }),
            Throws.InstanceOf<InsufficientMemoryException>().With.Message.Contains("ActivationBytes is 1000"));
    }

    private static long ActivationBytes(int chunkTokens)
    {
        EngineCapacity capacity = new EngineOptions { KvType = KvType.F32, PrefillChunkTokens = chunkTokens }.Resolve(TestModels.Tiny.Config);
        using var runner = new StepRunner(TestModels.Tiny, capacity);
        return runner.ArenaBytes;
    }

    private static Task<int[]> AnswerAsync(Engine engine, int[] prompt) =>
        engine.GenerateAsync(prompt, new GenerationOptions { MaxTokens = 8, IgnoreEos = true, Sampling = Greedy }).IdsAsync();
}
