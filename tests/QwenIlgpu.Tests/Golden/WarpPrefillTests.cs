namespace QwenIlgpu.Tests;

/// <summary>Prompts of the tiny model through the kernels that a GPU takes them with: tensor cores, emulated on PoCL.</summary>
[NonParallelizable]
internal sealed class WarpPrefillTests
{
    // bf16 operands in every linear layer and bf16 queries, keys, values and weights in attention, f16 in the delta rule, through eight
    // layers. Measured: 2.5e-2 and 2.3e-7.
    private const double LogitBound = 5e-2;

    // The same with f16 operands in the linear layers; queries, keys and values stay bf16. Measured: 3.7e-3 and 7.0e-9.
    private const double F16LogitBound = 1e-2;
    private const double DivergenceBound = 1e-4;

    [Test]
    public void LogitsStayCloseToGolden() => CheckLogits(TestModels.TinyOnWarps, LogitBound);

    [Category("Exhaustive")]
    [Test]
    public async Task LogitsOfF16OperandsStayCloserToGolden()
    {
        _ = TestModels.TinyOnWarps;                         // skips where there is no device
        using var directory = new TemporaryDirectory();
        F16Copy.Write(TestData.TinyModel, directory.Path);
        await using QwenModel model = await QwenModel.LoadAsync(
            directory.Path, new ModelOptions { Device = DeviceSelection.OpenCl, EmulatesWarps = true });

        CheckLogits(model, F16LogitBound);
    }

    private static void CheckLogits(QwenModel model, double bound)
    {
        using GoldenData golden = GoldenData.Open("tiny-qwen3.6");
        int prompt = Enumerable.Range(0, golden.Prompts.Count).Where(p => golden.Has($"{p}.logits")).MaxBy(p => golden.Prompts[p].Ids.Length);
        float[] expected = golden.Floats($"{prompt}.logits");
        using var sequences = new SequenceRunner(model, PageType.Bf16);

        float[] actual = sequences.Prefill(golden.Prompts[prompt].Ids);

        Assert.That(actual, Has.None.NaN);
        double worst = actual.Zip(expected, (a, e) => Math.Abs((double)a - e)).Max();
        double divergence = Divergence(expected, actual, sequences.Vocabulary);
        TestContext.Out.WriteLine($"{golden.Prompts[prompt].Ids.Length} tokens: max |Δlogit| = {worst:E2}, KL = {divergence:E2}");
        Assert.That(worst, Is.LessThanOrEqualTo(bound));
        Assert.That(divergence, Is.LessThanOrEqualTo(DivergenceBound));
    }

    [Category("Exhaustive")]
    [Test]
    public void PromptInPiecesOf64IsTheWholePrompt()
    {
        int[] ids = Prompt(150);
        using var sequences = new SequenceRunner(TestModels.TinyOnWarps, PageType.Bf16);

        float[] whole = sequences.Prefill(ids);
        float[] pieces = sequences.Prefill(ids, chunkTokens: 64, slot: 2);

        Assert.That(pieces, Is.EqualTo(whole));
    }

    // A fresh sequence, one that goes on at 64 and another fresh one of a single token.
    [Category("Exhaustive")]
    [Test]
    public void SequencesThatShareAStepAreEachAlone()
    {
        int[] ids = Prompt(150);
        using var sequences = new SequenceRunner(TestModels.TinyOnWarps, PageType.Bf16);
        (int Position, int Count)[] parts = [(0, 40), (64, 86), (0, 1)];
        float[][] alone = [sequences.Prefill(ids[..40]), sequences.Prefill(ids)[(64 * sequences.Vocabulary)..], sequences.Prefill(ids[..1])];
        sequences.Prefill(ids[..64], slot: 2);

        BoundStep step = sequences.Runner.Run(
            StepKind.Prefill,
            [.. parts.Select((p, i) => new StepSequence(i + 1, p.Position, ids.AsMemory(p.Position, p.Count), LogitsWanted.All))],
            samples: false);

        Assert.That(sequences.Runner.ReadLogits(step), Is.EqualTo(alone.SelectMany(l => l)));
    }

    [Category("Exhaustive")]
    [Test]
    public void ScoresInBlocksAreThoseOfTheLogits()
    {
        int[] ids = Prompt(151);
        using var sequences = new SequenceRunner(TestModels.TinyOnWarps, PageType.Bf16, options: new StepRunnerOptions(ScoreBlockRows: 64));

        float[] logits = sequences.Prefill(ids[..150]);
        BoundStep step = sequences.Runner.Run(
            StepKind.Prefill, [new StepSequence(2, 0, ids.AsMemory(0, 150), LogitsWanted.None, ids.AsMemory(1, 150))]);

        double[] expected = [.. Enumerable.Range(0, 150).Select(row => LogProbabilities(sequences.Row(logits, row))[ids[row + 1]])];
        Assert.That(sequences.Runner.ReadScores(step).Zip(expected, (a, e) => Math.Abs(a - e)), Has.All.LessThanOrEqualTo(1e-5));
    }

    // Mean over positions of Σ p · log(p / q).
    private static double Divergence(float[] expected, float[] actual, int vocabulary)
    {
        double sum = 0;
        for (int start = 0; start < expected.Length; start += vocabulary)
        {
            double[] p = LogProbabilities(expected.AsSpan(start, vocabulary));
            double[] q = LogProbabilities(actual.AsSpan(start, vocabulary));
            sum += p.Zip(q, (a, b) => Math.Exp(a) * (a - b)).Sum();
        }

        return sum / (expected.Length / vocabulary);
    }

    private static double[] LogProbabilities(ReadOnlySpan<float> logits)
    {
        double[] values = Array.ConvertAll(logits.ToArray(), l => (double)l);
        double largest = values.Max();
        double logSum = largest + Math.Log(values.Sum(v => Math.Exp(v - largest)));
        return Array.ConvertAll(values, v => v - logSum);
    }

    private static int[] Prompt(int length)
    {
        using GoldenData golden = GoldenData.Open("tiny-qwen3.6");
        int[] ids = golden.Prompts.MaxBy(p => p.Ids.Length)!.Ids;
        return [.. Enumerable.Range(0, length).Select(i => ids[i % ids.Length])];
    }
}
