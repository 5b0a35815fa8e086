namespace QwenIlgpu.Cuda.Tests;

/// <summary>Logits and greedy continuations of both tiny checkpoints against an independent float64 implementation.</summary>
internal sealed class GoldenTests(int seed) : EngineFixture(seed)
{
    // Measured: 2.3e-7.
    private const double DivergenceBound = 1e-4;

    // f16 operands in the linear layers; queries, keys and values stay bf16. Measured: 3.7e-3.
    private const double F16LogitBound = 1e-2;

    [TestCase("tiny-qwen3.6")]
    [TestCase("tiny-qwen3.6-gptq-int4")]
    public void LogitsStayCloseToGolden(string checkpoint) => CheckLogits(ModelOf(checkpoint), checkpoint, LogitBound);

    [Category("Exhaustive")]
    [Test]
    public async Task LogitsOfF16OperandsStayCloserToGolden()
    {
        using var directory = new TemporaryDirectory();
        F16Copy.Write(TestData.TinyModel, directory.Path);
        await using QwenModel model = Load(directory.Path, DeviceSelection.Cuda());

        CheckLogits(model, "tiny-qwen3.6", F16LogitBound);
    }

    /// <summary>Each prompt with its continuation in one step: where the next logit is far enough, nothing else may be the largest.</summary>
    [Category("Exhaustive")]
    [TestCase("tiny-qwen3.6")]
    [TestCase("tiny-qwen3.6-gptq-int4")]
    public void GoldenTokensAreTheLargestWhereverTheMarginTells(string checkpoint)
    {
        using GoldenData golden = GoldenData.Open(checkpoint);
        using var portable = new SequenceRunner(PortableOf(checkpoint));
        using var warps = new SequenceRunner(ModelOf(checkpoint), KvType.Bf16);
        int told = 0;
        foreach (GoldenPrompt prompt in golden.Prompts)
        {
            int[] ids = [.. prompt.Ids, .. prompt.Greedy[..^1]];
            float[] exact = portable.Prefill(ids);
            float[] actual = warps.Prefill(ids);
            for (int i = 0; i < prompt.Greedy.Length; i++)
            {
                int row = prompt.Ids.Length - 1 + i;
                if (Margin(portable.Row(exact, row), prompt.Greedy[i]) <= 2 * LogitBound)
                    continue;
                told++;
                float[] logits = warps.Row(actual, row);
                Assert.That(Array.IndexOf(logits, logits.Max()), Is.EqualTo(prompt.Greedy[i]), $"token {i} after '{prompt.Text}'");
            }
        }

        TestContext.Out.WriteLine($"{told} of {golden.Prompts.Count * 64} tokens");
        Assert.That(told, Is.GreaterThan(golden.Prompts.Count * 64 * 8 / 10), "too few tokens would tell");
    }

    [TestCase("tiny-qwen3.6", 0, 12)]
    [TestCase("tiny-qwen3.6", 0, 64, Category = "Exhaustive")]
    [TestCase("tiny-qwen3.6", 3, 64, Category = "Exhaustive")]
    [TestCase("tiny-qwen3.6-gptq-int4", 0, 64, Category = "Exhaustive")]
    [TestCase("tiny-qwen3.6-gptq-int4", 3, 64, Category = "Exhaustive")]
    public async Task GreedyContinuationsAreGolden(string checkpoint, int index, int tokens)
    {
        using GoldenData golden = GoldenData.Open(checkpoint);
        GoldenPrompt prompt = golden.Prompts[index];
        await using var engine = new Engine(ModelOf(checkpoint), new EngineOptions { MaxSequences = 1, ContextTokens = 512 });
        var options = new GenerationOptions { MaxTokens = tokens, IgnoreEos = true, Sampling = new SamplingOptions { Temperature = 0 } };

        int[] ids = await engine.GenerateAsync(prompt.Ids, options).IdsAsync();

        Assert.That(ids, Is.EqualTo(prompt.Greedy[..tokens]));
    }

    private static void CheckLogits(QwenModel model, string checkpoint, double bound)
    {
        using GoldenData golden = GoldenData.Open(checkpoint);
        int prompt = Enumerable.Range(0, golden.Prompts.Count).Where(p => golden.Has($"{p}.logits")).MaxBy(p => golden.Prompts[p].Ids.Length);
        float[] expected = golden.Floats($"{prompt}.logits");
        using var sequences = new SequenceRunner(model, KvType.Bf16);

        float[] actual = sequences.Prefill(golden.Prompts[prompt].Ids);

        double worst = Largest(actual, expected);
        double divergence = Divergence(expected, actual, sequences.Vocabulary);
        TestContext.Out.WriteLine($"{golden.Prompts[prompt].Ids.Length} tokens: max |Δlogit| = {worst:E2}, KL = {divergence:E2}");
        Assert.That(worst, Is.LessThanOrEqualTo(bound));
        Assert.That(divergence, Is.LessThanOrEqualTo(DivergenceBound));
    }

    // By how much a token's logit is above every other.
    private static double Margin(float[] logits, int token) =>
        logits[token] - logits.Where((_, i) => i != token).Max();

    // Mean over positions of Σ p · log(p / q).
    private static double Divergence(float[] expected, float[] actual, int vocabulary)
    {
        double sum = 0;
        for (int start = 0; start < expected.Length; start += vocabulary)
        {
            double[] p = LogProbabilities.Of(expected.AsSpan(start, vocabulary));
            double[] q = LogProbabilities.Of(actual.AsSpan(start, vocabulary));
            sum += p.Zip(q, (a, b) => Math.Exp(a) * (a - b)).Sum();
        }

        return sum / (expected.Length / vocabulary);
    }
}

/// <summary>Natural logarithms of a softmax, in double precision.</summary>
internal static class LogProbabilities
{
    public static double[] Of(ReadOnlySpan<float> logits)
    {
        double[] values = Array.ConvertAll(logits.ToArray(), l => (double)l);
        double largest = values.Max();
        double logSum = largest + Math.Log(values.Sum(v => Math.Exp(v - largest)));
        return Array.ConvertAll(values, v => v - logSum);
    }
}
