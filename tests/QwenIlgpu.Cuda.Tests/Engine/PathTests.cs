namespace QwenIlgpu.Cuda.Tests;

/// <summary>However a sequence is cut into steps, whoever shares them and however they are launched: its logits have the same bits.</summary>
internal sealed class PathTests(int seed) : EngineFixture(seed)
{
    // bf16 operands in every linear layer: rounding of 2^-9 each, through eight layers. Measured: 2.0e-2 with f32 pages, 2.8e-2 with bf16 ones.
    private const double OperandBound = 6e-2;

    [Category("Exhaustive")]
    [TestCase(KvType.F32)]
    [TestCase(KvType.Bf16)]
    [TestCase(KvType.Int8)]
    [TestCase(KvType.Int4)]
    [TestCase(KvType.K8V4)]
    public void DecodeStaysCloseToThePortableKernels(KvType kvType)
    {
        int[] ids = Prompt(24);
        using var portable = new SequenceRunner(PortableOf("tiny-qwen3.6"), kvType);
        using var warps = new SequenceRunner(Tiny, kvType);

        double worst = Largest(warps.Decode(ids), portable.Decode(ids));

        TestContext.Out.WriteLine($"{kvType}: max |Δlogit| = {worst:E2}");
        Assert.That(worst, Is.LessThanOrEqualTo(OperandBound));
    }

    /// <summary>Codes of keys and values that lie between two of them may be the other one: a step of the scale where bf16 operands moved them.</summary>
    [Category("Exhaustive")]
    [TestCase(KvType.Bf16)]
    [TestCase(KvType.Int8)]
    [TestCase(KvType.Int4)]
    [TestCase(KvType.K8V4)]
    public void PrefillStaysCloseToThePortableKernels(KvType kvType)
    {
        int[] ids = Prompt(150);
        using var portable = new SequenceRunner(PortableOf("tiny-qwen3.6"), kvType);
        using var warps = new SequenceRunner(Tiny, kvType);

        double worst = Largest(warps.Prefill(ids), portable.Prefill(ids));

        TestContext.Out.WriteLine($"{kvType}: max |Δlogit| = {worst:E2}");
        Assert.That(worst, Is.LessThanOrEqualTo(OperandBound));
    }

    /// <summary>Rows are gathered before matmuls of prompts and of tokens; the portable model has the same weights to the bit, in order.</summary>
    [Test]
    public async Task ActOrderStaysCloseToThePortableKernelsInOrder()
    {
        int[] ids = Prompt(6);
        (TinyCopy copy, _) = Int4Dialect.ActOrder.Write();
        using TinyCopy written = copy;
        await using QwenModel model = Load(copy.Path, DeviceSelection.Cuda());
        using var portable = new SequenceRunner(PortableOf("tiny-qwen3.6-gptq-int4"), KvType.F32);
        using var warps = new SequenceRunner(model, KvType.F32);

        double worst = Largest(
            [.. warps.Prefill(ids[..5]), .. warps.Decode(ids[5..], firstPosition: 5)],
            [.. portable.Prefill(ids[..5]), .. portable.Decode(ids[5..], firstPosition: 5)]);

        TestContext.Out.WriteLine($"max |Δlogit| = {worst:E2}");
        Assert.That(worst, Is.LessThanOrEqualTo(OperandBound));
    }

    // The second step of a shape is captured, every later one is replayed.
    [TestCase("tiny-qwen3.6", KvType.Bf16)]
    [TestCase("tiny-qwen3.6", KvType.Int4, Category = "Exhaustive")]
    [TestCase("tiny-qwen3.6-gptq-int4", KvType.Bf16, Category = "Exhaustive")]
    public void CapturedStepsArePlainOnes(string checkpoint, KvType kvType)
    {
        int[] ids = Prompt(5);
        using var plain = new SequenceRunner(ModelOf(checkpoint), kvType, options: new StepRunnerOptions(Graphs: false));
        using var captured = new SequenceRunner(ModelOf(checkpoint), kvType, options: new StepRunnerOptions(Graphs: true));

        Assert.That(captured.Decode(ids), Is.EqualTo(plain.Decode(ids)));
    }

    // In launches that take x whole, and in those of many rows.
    [TestCase(3, new[] { 0, 1, 2 }, KvType.Bf16)]
    [TestCase(3, new[] { 0, 1, 2 }, KvType.Int8, Category = "Exhaustive")]
    [TestCase(3, new[] { 0, 1, 2 }, KvType.Int4, Category = "Exhaustive")]
    [TestCase(3, new[] { 0, 1, 2 }, KvType.K8V4, Category = "Exhaustive")]
    [TestCase(64, new[] { 0, 13, 63 }, KvType.Bf16, Category = "Exhaustive")]
    public void BatchEqualsEachAlone(int sequences, int[] compared, KvType kvType)
    {
        using var runner = new SequenceRunner(Tiny, kvType, maxSequences: sequences, contextTokens: 128);
        int[] ids = Prompt(sequences + 4);
        float[][] alone = Array.ConvertAll(compared, s => Step(runner, [s], ids)[0]);

        float[][] together = Step(runner, [.. Enumerable.Range(0, sequences)], ids);

        for (int i = 0; i < compared.Length; i++)
            Assert.That(together[compared[i]], Is.EqualTo(alone[i]), $"sequence {compared[i]}");
    }

    [Category("Exhaustive")]
    [TestCase(KvType.Bf16)]
    [TestCase(KvType.Int8)]
    [TestCase(KvType.Int4)]
    [TestCase(KvType.K8V4)]
    public void PromptInPiecesOf64IsTheWholePrompt(KvType kvType)
    {
        int[] ids = Prompt(150);
        using var sequences = new SequenceRunner(Tiny, kvType);

        float[] whole = sequences.Prefill(ids);
        float[] pieces = sequences.Prefill(ids, chunkTokens: 64, slot: 2);

        Assert.That(pieces, Is.EqualTo(whole));
    }

    // A fresh sequence, one that goes on at 64 and another fresh one of a single token.
    [Category("Exhaustive")]
    [TestCase(KvType.Bf16)]
    [TestCase(KvType.Int8)]
    [TestCase(KvType.Int4)]
    [TestCase(KvType.K8V4)]
    public void SequencesThatShareAStepAreEachAlone(KvType kvType)
    {
        int[] ids = Prompt(150);
        using var sequences = new SequenceRunner(Tiny, kvType);
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
        using var sequences = new SequenceRunner(Tiny, KvType.Bf16, options: new StepRunnerOptions(ScoreBlockRows: 64));

        float[] logits = sequences.Prefill(ids[..150]);
        BoundStep step = sequences.Runner.Run(
            StepKind.Prefill, [new StepSequence(2, 0, ids.AsMemory(0, 150), LogitsWanted.None, ids.AsMemory(1, 150))]);

        double[] expected = [.. Enumerable.Range(0, 150).Select(row => LogProbabilities.Of(sequences.Row(logits, row))[ids[row + 1]])];
        Assert.That(sequences.Runner.ReadScores(step).Zip(expected, (a, e) => Math.Abs(a - e)), Has.All.LessThanOrEqualTo(1e-5));
    }

    /// <summary>A second prompt goes on from the first one's snapshots and pages, at 128 tokens and at 64.</summary>
    [TestCase(KvType.Bf16)]
    [TestCase(KvType.Int8, Category = "Exhaustive")]
    [TestCase(KvType.Int4, Category = "Exhaustive")]
    [TestCase(KvType.K8V4, Category = "Exhaustive")]
    public void SnapshotsResume(KvType kvType)
    {
        const int Prefix = 128;
        int[] first = Ids(150);
        int[] second = [.. first[..Prefix], .. Ids(60).Select(i => i / 2)];
        using var sequences = new SequenceRunner(Tiny, kvType);
        sequences.Runner.Run(
            StepKind.Prefill, [new StepSequence(1, 0, first, LogitsWanted.None, Snapshots: [new StateSnapshot(64, 4), new StateSnapshot(Prefix, 3)])],
            samples: false);

        sequences.SharePages(3, owner: 1, Prefix);
        float[] reused = sequences.PrefillFrom(Prefix, second[Prefix..], slot: 3);

        Assert.That(reused, Has.None.NaN);
        Assert.That(reused, Is.EqualTo(sequences.Prefill(second, slot: 2)[(Prefix * sequences.Vocabulary)..]));
        sequences.SharePages(4, owner: 1, 64);
        Assert.That(sequences.PrefillFrom(64, first[64..], slot: 4), Is.EqualTo(sequences.Prefill(first, slot: 2)[(64 * sequences.Vocabulary)..]));
    }

    /// <summary>What a broken request left in pages and states, which the next one takes over, is behind every key that this may read.</summary>
    [Category("Exhaustive")]
    [Test]
    public async Task ABrokenEmbeddingBreaksOnlyTheRequestsThatHoldIt()
    {
        using var copy = new TinyCopy();
        copy.BytesOf("model.language_model.embed_tokens.weight").AsSpan(777 * 512, 512).Fill(0xff);
        copy.Save();
        await using QwenModel model = Load(copy.Path, DeviceSelection.Cuda());
        await using var engine = new Engine(model, new EngineOptions { MaxSequences = 1, ContextTokens = 256 });
        var options = new GenerationOptions { MaxTokens = 8, Sampling = new SamplingOptions { Temperature = 0 } };
        int[] prompt = Prompt(20);
        int[] expected = await engine.GenerateAsync(prompt, options).IdsAsync();

        Assert.That(
            async () => await engine.GenerateAsync(Enumerable.Repeat(777, 130).ToArray(), options).IdsAsync(),
            Throws.TypeOf<InvalidDataException>().With.Message.Contains("embed_tokens.weight in model.safetensors holds NaN at [777, 0]"));

        Assert.That(await engine.GenerateAsync(prompt, options).IdsAsync(), Is.EqualTo(expected));
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

    private static int[] Ids(int count) => [.. Enumerable.Range(0, count).Select(i => ((i * 131) + 7) % 2000)];
}
