namespace QwenIlgpu.Tests;

/// <summary>However a sequence is cut into steps and whoever shares them, its logits are the same.</summary>
[NonParallelizable]
internal sealed class PathEqualityTests
{
    // Chunked and recurrent delta rule differ in the order of sums; over 60 tokens and eight layers of f32.
    private const double DecodeBound = 1e-4;

    // Row after row a step may end anywhere.
    [TestCase(64, DeltaPrefillForm.Chunked)]
    [TestCase(64, DeltaPrefillForm.Recurrent)]
    [TestCase(70, DeltaPrefillForm.Recurrent)]
    [TestCase(128, DeltaPrefillForm.Chunked, Category = "Exhaustive")]
    public void PrefillInChunksEqualsPrefillInOneGo(int chunkTokens, DeltaPrefillForm form)
    {
        int[] ids = LongPrompt(300);
        using var sequences = new SequenceRunner(TestModels.Tiny, options: new StepRunnerOptions(DeltaForm: form));

        float[] whole = sequences.Prefill(ids);
        float[] chunked = sequences.Prefill(ids, chunkTokens, slot: 2);

        Assert.That(chunked, Is.EqualTo(whole));
    }

    [TestCase(DeltaPrefillForm.Chunked)]
    [TestCase(DeltaPrefillForm.Recurrent)]
    public void DecodeEqualsPrefill(DeltaPrefillForm form)
    {
        int[] ids = LongPrompt(90);
        using var sequences = new SequenceRunner(TestModels.Tiny, options: new StepRunnerOptions(DeltaForm: form));

        float[] prefilled = sequences.Prefill(ids);
        float[] decoded = sequences.Decode(ids, slot: 2);

        Assert.That(decoded.Zip(prefilled, (a, b) => Math.Abs(a - b)).Max(), Is.LessThanOrEqualTo(DecodeBound));
    }

    [Test]
    public void BatchEqualsEachAlone()
    {
        using GoldenData golden = GoldenData.Open("tiny-qwen3.6");
        int[][] prompts = [.. golden.Prompts.Take(4).Select(p => p.Ids)];
        using var sequences = new SequenceRunner(TestModels.Tiny);
        float[][] alone = [.. prompts.Select(p => Feed(sequences, [p])[0])];

        float[][] together = Feed(sequences, prompts);

        for (int i = 0; i < prompts.Length; i++)
            Assert.That(together[i], Is.EqualTo(alone[i]), $"prompt {i}");
    }

    [Test]
    public void SlotLeftByAnotherSequenceChangesNothing()
    {
        int[] ids = LongPrompt(70);
        using var sequences = new SequenceRunner(TestModels.Tiny);
        float[] first = sequences.Prefill(ids);
        sequences.Prefill(LongPrompt(200));

        Assert.That(sequences.Prefill(ids), Is.EqualTo(first));
    }

    [Test]
    public void CheckedModeRunsCleanAndChangesNothing()
    {
        int[] ids = LongPrompt(70);
        using var plain = new SequenceRunner(TestModels.Tiny);
        using var checkedRun = new SequenceRunner(TestModels.Tiny, options: new StepRunnerOptions(Checked: true));

        Assert.That(checkedRun.Prefill(ids), Is.EqualTo(plain.Prefill(ids)));
        Assert.That(checkedRun.Decode([5, 6], firstPosition: 70), Is.EqualTo(plain.Decode([5, 6], firstPosition: 70)));
    }

    // Prefill all prompts in one step, then decode three fixed tokens each: the logits of all of it, per prompt.
    private static float[][] Feed(SequenceRunner sequences, int[][] prompts)
    {
        StepRunner runner = sequences.Runner;
        var collected = prompts.Select(_ => new List<float>()).ToArray();
        BoundStep step = runner.Run(
            StepKind.Prefill, [.. prompts.Select((p, i) => new StepSequence(i + 1, 0, p, LogitsWanted.All))], samples: false);
        float[] logits = runner.ReadLogits(step);
        int row = 0;
        for (int i = 0; i < prompts.Length; row += prompts[i++].Length)
            collected[i].AddRange(logits.AsSpan(row * sequences.Vocabulary, prompts[i].Length * sequences.Vocabulary));
        for (int t = 0; t < 3; t++)
        {
            int[] next = [100 + t];
            step = runner.Run(
                StepKind.Decode, [.. prompts.Select((p, i) => new StepSequence(i + 1, p.Length + t, next, LogitsWanted.Last))], samples: false);
            logits = runner.ReadLogits(step);
            for (int i = 0; i < prompts.Length; i++)
                collected[i].AddRange(sequences.Row(logits, i));
        }

        return [.. collected.Select(c => c.ToArray())];
    }

    private static int[] LongPrompt(int length)
    {
        using GoldenData golden = GoldenData.Open("tiny-qwen3.6");
        return golden.Prompts.MaxBy(p => p.Ids.Length)!.Ids[..length];
    }
}
