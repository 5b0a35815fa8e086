namespace QwenIlgpu.Tests;

/// <summary>
/// The tiny model decoded by the kernels that a GPU decodes with: warps and tensor cores, emulated on PoCL.
/// </summary>
[NonParallelizable]
internal sealed class WarpDecodeTests
{
    [TestCase(PageType.F32, Category = "Exhaustive")]
    [TestCase(PageType.Bf16)]
    public void LogitsStayCloseToPortableOnes(PageType pageType)
    {
        int[] ids = Prompt(24);
        using var portable = new SequenceRunner(TestModels.Tiny, pageType);
        using var warps = new SequenceRunner(TestModels.TinyOnWarps, pageType);

        float[] expected = portable.Decode(ids);
        float[] actual = warps.Decode(ids);

        double worst = actual.Zip(expected, (a, e) => Math.Abs((double)a - e)).Max();
        TestContext.Out.WriteLine($"{pageType}: max |Δlogit| = {worst:E2}");
        Assert.That(actual, Has.None.NaN);
        Assert.That(worst, Is.LessThanOrEqualTo(OperandBound));
    }

    [Category("Exhaustive")]
    [Test]
    public async Task GreedyTokensAreGolden([Values(0, 3)] int index)
    {
        using GoldenData golden = GoldenData.Open("tiny-qwen3.6");
        GoldenPrompt prompt = golden.Prompts[index];
        await using var engine = new Engine(TestModels.TinyOnWarps, new EngineOptions { PageType = PageType.F32 });
        var options = new GenerationOptions { MaxTokens = 32, IgnoreEos = true, Sampling = new SamplingOptions { Temperature = 0 } };

        var ids = new List<int>();
        await foreach (GenerationUpdate update in engine.GenerateAsync(prompt.Ids, options))
            ids.AddRange(update.TokenIds);

        Assert.That(ids, Is.EqualTo(prompt.Greedy[..32]));
    }

    // Each of a step's rows has the bits of that row alone: in launches that take x whole, and in those of many rows.
    [TestCase(3, new[] { 0, 1, 2 })]
    [TestCase(64, new[] { 0, 13, 63 }, Category = "Exhaustive")]
    public void BatchEqualsEachAlone(int sequences, int[] compared)
    {
        using var runner = new SequenceRunner(TestModels.TinyOnWarps, PageType.Bf16, maxSequences: sequences, contextTokens: 128);
        int[] ids = Prompt(sequences + 4);
        float[][] alone = Array.ConvertAll(compared, s => Step(runner, [s], ids)[0]);

        float[][] together = Step(runner, [.. Enumerable.Range(0, sequences)], ids);

        for (int i = 0; i < compared.Length; i++)
            Assert.That(together[compared[i]], Is.EqualTo(alone[i]), $"sequence {compared[i]}");
    }

    // The second token's logits of the sequences whose two tokens begin at ids[s].
    private static float[][] Step(SequenceRunner runner, int[] sequences, int[] ids)
    {
        float[] logits = [];
        for (int t = 0; t < 2; t++)
        {
            BoundStep step = runner.Runner.Run(
                StepKind.Decode, [.. sequences.Select(s => new StepSequence(s + 1, t, ids.AsMemory(s + t, 1), LogitsWanted.Last))], samples: false);
            logits = runner.Runner.ReadLogits(step);
        }

        return [.. sequences.Select((_, i) => runner.Row(logits, i))];
    }

    private static int[] Prompt(int length)
    {
        using GoldenData golden = GoldenData.Open("tiny-qwen3.6");
        return golden.Prompts.MaxBy(p => p.Ids.Length)!.Ids[..length];
    }

    // bf16 operands in every linear layer: rounding of 2^-9 each, through eight layers. Measured: 2.0e-2 with f32 pages, 2.8e-2 with bf16 ones.
    private const double OperandBound = 6e-2;
}
