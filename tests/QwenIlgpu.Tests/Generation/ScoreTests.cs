namespace QwenIlgpu.Tests;

/// <summary>Log-probabilities of tokens that are given.</summary>
[NonParallelizable]
internal sealed class ScoreTests
{
    // That of the golden logits, twice: of the target's logit and of the log-sum-exp. Measured: see the test's output.
    private const double GoldenBound = 4e-3;

    // Of float arithmetic behind the same logits.
    private const double SumBound = 1e-5;

    [TestCase("tiny-qwen3.6")]
    [TestCase("tiny-qwen3.6-gptq-int4")]
    public async Task ScoresAreTheLogSoftmaxOfTheGoldenLogits(string checkpoint)
    {
        using GoldenData golden = GoldenData.Open(checkpoint);
        await using var engine = new Engine(GoldenLogitsTests.ModelOf(checkpoint), new EngineOptions { KvType = KvType.F32 });
        int[] whole = [.. Enumerable.Range(0, golden.Prompts.Count).Where(p => golden.Has($"{p}.logits") && golden.Prompts[p].Ids.Length > 1)];

        float[][] scores = await Task.WhenAll(whole.Select(p => engine.ScoreAsync(golden.Prompts[p].Ids)));

        double worst = whole.Zip(scores, (p, s) => Difference(s, Expected(golden.Floats($"{p}.logits"), golden.Prompts[p].Ids, 2048))).Max();
        TestContext.Out.WriteLine($"{whole.Length} prompts, {scores.Sum(s => s.Length)} scores: max |Δ| = {worst:E2}");
        Assert.That(whole, Has.Length.GreaterThan(1));
        Assert.That(worst, Is.LessThanOrEqualTo(GoldenBound));
    }

    [TestCase(0, true)]
    [TestCase(1, false)]
    public void TargetsOffByOneAreNotTheGoldenOnes(int shift, bool isRight)
    {
        using GoldenData golden = GoldenData.Open("tiny-qwen3.6");
        int[] ids = golden.Prompts[0].Ids;
        using var sequences = new SequenceRunner(TestModels.Tiny);
        Memory<int> fed = ids.AsMemory(0, ids.Length - 1);

        BoundStep step = sequences.Runner.Run(StepKind.Prefill, [new StepSequence(1, 0, fed, LogitsWanted.None, ids.AsMemory(1 - shift, fed.Length))]);

        double difference = Difference(sequences.Runner.ReadScores(step), Expected(golden.Floats("0.logits"), ids, 2048));
        Assert.That(difference, isRight ? Is.LessThanOrEqualTo(GoldenBound) : Is.GreaterThan(100 * GoldenBound));
    }

    [TestCase(64)]
    [TestCase(128, Category = "Exhaustive")]
    public void APromptInPiecesAndBlocksIsTheWholePrompt(int chunkTokens)
    {
        int[] ids = Prompt(301);
        using var sequences = new SequenceRunner(TestModels.Tiny);
        using var blocks = new SequenceRunner(TestModels.Tiny, options: new StepRunnerOptions(Checked: true, ScoreBlockRows: 64));

        float[] whole = Score(sequences, ids, 512);

        Assert.That(Difference(whole, Expected(sequences.Prefill(ids), ids, 2048)), Is.LessThanOrEqualTo(SumBound));
        Assert.That(Score(sequences, ids, chunkTokens), Is.EqualTo(whole));
        Assert.That(Score(blocks, ids, 512), Is.EqualTo(whole), "five blocks, the last of 44 rows");
    }

    [Test]
    public async Task TextsThatShareStepsWithOthersAreEachAlone()
    {
        int[] ids = Prompt(400);
        await using var alone = new Engine(TestModels.Tiny, new EngineOptions { MaxSequences = 1 });
        await using var engine = new Engine(
            TestModels.Tiny, new EngineOptions { MaxSequences = 3, CacheTokens = 3 * 4096, PrefillChunkTokens = 128 }, new StepRunnerOptions(StepsInFlight: 2));
        int[][] texts = [ids, ids[..70], ids[100..102], ids[3..133]];
        var options = new GenerationOptions { MaxTokens = 20, IgnoreEos = true, Sampling = new SamplingOptions { Temperature = 1, Seed = 5, TopLogProbs = 0 } };
        int[] expectedDraws = await Draw(alone, ids[..50], options);
        var expected = new List<float[]>();
        foreach (int[] text in texts)
            expected.Add(await alone.ScoreAsync(text));

        Task<int[]> draws = Draw(engine, ids[..50], options);
        float[][] scores = await Task.WhenAll(texts.Select(text => engine.ScoreAsync(text)));

        Assert.That(scores, Is.EqualTo(expected));
        Assert.That(await draws, Is.EqualTo(expectedDraws));
    }

    [Test]
    public async Task DrawnTokensHaveTheLogProbabilitiesTheyWereDrawnWith()
    {
        int[] ids = Prompt(40);
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { KvType = KvType.F32 });
        var options = new GenerationOptions { MaxTokens = 30, IgnoreEos = true, Sampling = new SamplingOptions { Temperature = 1, Seed = 9, TopLogProbs = 0 } };
        var drawn = new List<TokenLogProbs>();
        await foreach (GenerationUpdate update in engine.GenerateAsync(ids, options))
            drawn.AddRange(update.LogProbs!);

        float[] scores = await engine.ScoreAsync(ids.Concat(drawn.Select(d => d.TokenId)).ToArray());

        // Decode steps take the recurrent delta rule, whose sums are in another order.
        Assert.That(Difference(scores[^30..], [.. drawn.Select(d => (double)d.LogProbability)]), Is.LessThanOrEqualTo(1e-3));
    }

    [Test]
    public async Task ASingleTokenHasNoScoreAndBadIdsAreRefusedInTheCallItself()
    {
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { ContextTokens = 64 });

        Assert.That(await engine.ScoreAsync(new[] { 5 }), Is.Empty);
        Assert.That(await engine.ScoreAsync(new int[64]), Has.Length.EqualTo(63));
        Assert.That(() => engine.ScoreAsync(Array.Empty<int>()), Throws.ArgumentException.With.Message.Contains("empty"));
        Assert.That(() => engine.ScoreAsync(new[] { 1, 2048 }), Throws.ArgumentException.With.Message.Contains("2048 at index 1").And.Message.Contains("0 to 2047"));
        Assert.That(() => engine.ScoreAsync(new int[65]), Throws.ArgumentException.With.Message.Contains("65 tokens").And.Message.Contains("64"));
        await engine.DisposeAsync();
        Assert.That(() => engine.ScoreAsync(new[] { 5, 6 }), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public async Task CancellingEndsTheTaskAndFreesTheSequence()
    {
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { MaxSequences = 1, PrefillChunkTokens = 64 });
        using var cancellation = new CancellationTokenSource();
        Task<float[]> scores = engine.ScoreAsync(Prompt(4000), cancellation.Token);

        // All 63 steps take less than a second: a busy thread pool might come back after them.
        SpinWait.SpinUntil(() => engine.Loop.Counters.Steps > 0);
        await cancellation.CancelAsync();

        Assert.That(async () => await scores, Throws.InstanceOf<OperationCanceledException>());
        Assert.That(async () => await engine.ScoreAsync(Prompt(10), cancellation.Token), Throws.InstanceOf<OperationCanceledException>());

        // With one slot, this waits for ever unless the first sequence has been freed.
        Assert.That(await engine.ScoreAsync(Prompt(10)).WaitAsync(TimeSpan.FromSeconds(30)), Has.Length.EqualTo(9));
        Assert.That(engine.Loop.Counters.Steps, Is.LessThan(60), "4,000 tokens would have been 63 steps");
    }

    [Test]
    public async Task DisposingEndsScoringRequests()
    {
        var engine = new Engine(TestModels.Tiny, new EngineOptions { PrefillChunkTokens = 64 });
        Task<float[]> scores = engine.ScoreAsync(Prompt(4000));

        await engine.DisposeAsync();

        Assert.That(async () => await scores, Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public void OnlyPrefillStepsRunAndTheSlotIsFreed()
    {
        using var sequences = new SequenceRunner(TestModels.Tiny, maxSequences: 1, contextTokens: 1024);
        var scheduler = new Scheduler(sequences.Runner);
        var request = new ScoreRequest(Prompt(600));
        scheduler.Enqueue(request);
        scheduler.Update();
        Assert.That(request.Sequence.PageCount, Is.EqualTo(10));
        int steps = 0;
        while (scheduler.Step())
            steps++;

        Assert.That((steps, request.Sequence.FedTokens, request.ScoredTokens, request.Decoding), Is.EqualTo((2, 599, 599, false)));
        Assert.That(request.Sequence.Retired && scheduler.Count == 0, Is.True);
        Assert.That((request.Sequence.PageCount, request.Sequence.Slot), Is.EqualTo((0, 0)));
    }

    [Test]
    public async Task AStepTakesPromptsAndScoredTextsTogetherAndDecodingGoesOn()
    {
        using var sequences = new SequenceRunner(TestModels.Tiny);
        var scheduler = new Scheduler(sequences.Runner);
        var greedy = ResolvedSampling.Resolve(new SamplingOptions { Temperature = 0 }, null, 2048, static _ => true, () => 0);
        var drawing = new GenerationRequest(Prompt(30), 3, new HashSet<int>(), greedy, new TokenStream(3, -1));
        var scoring = new ScoreRequest(Prompt(600));
        scheduler.Enqueue(drawing);
        scheduler.Enqueue(scoring);
        scheduler.Update();

        var done = new List<(int Fed, int Drawn, int Fed2, int Scored)>();
        while (scheduler.Step())
            done.Add((drawing.Sequence.FedTokens, drawing.GeneratedTokens, scoring.Sequence.FedTokens, scoring.ScoredTokens));

        // 30 rows of 512 are the prompt's, 448 are left in whole 64s; a decode step, then the rest.
        Assert.That(done, Is.EqualTo(new[] { (30, 1, 448, 448), (30, 2, 448, 448), (30, 2, 599, 599), (30, 3, 599, 599) }));
        Assert.That(await scoring.Scores, Has.Length.EqualTo(599).And.None.NaN);
    }

    [Test]
    public async Task MemoryDoesNotGrowWithTheScoredRows()
    {
        await using QwenModel model = SyntheticModel.CreateUnfilled(
            "27b", SyntheticShape.Of("27b"), ComputeDevice.OpenCpu(recordsWarpKernels: true), HeadQuantization.Int8);
        long Arena(int scoredRows) => StepPlan.Record(model, KvType.Bf16, new StepShape(StepKind.Prefill, 512, 1, 0, 8, false, scoredRows), contextTokens: 512).ArenaBytes;

        (long few, long many) = (Arena(64), Arena(512));

        TestContext.Out.WriteLine($"512 tokens of the 27B: none scored {Arena(0)}, 64 scored {few}, all scored {many} bytes of activations");
        Assert.That(Ops.MostLogitRows(248_320), Is.EqualTo(64));
        Assert.That(many - few, Is.InRange(0, 1 << 20));
    }

    [Test]
    public void AStepRefusesMoreLogitsThanABlock()
    {
        int most = Ops.MostLogitRows(2048);
        using var sequences = new SequenceRunner(TestModels.Tiny);

        Assert.That(most, Is.EqualTo(8192));
        Assert.That(
            () => sequences.Runner.GraphOf(new StepShape(StepKind.Prefill, most + 1, 1, most + 1, 200, false)),
            Throws.ArgumentException.With.Message.Contains("8193 rows of logits").And.Message.Contains("at most 8192"));
    }

    private static float[] Score(SequenceRunner sequences, int[] ids, int chunkTokens)
    {
        var scores = new List<float>();
        for (int position = 0; position < ids.Length - 1; position += chunkTokens)
        {
            int count = Math.Min(chunkTokens, ids.Length - 1 - position);
            BoundStep step = sequences.Runner.Run(
                StepKind.Prefill, [new StepSequence(2, position, ids.AsMemory(position, count), LogitsWanted.None, ids.AsMemory(position + 1, count))]);
            scores.AddRange(sequences.Runner.ReadScores(step));
        }

        return [.. scores];
    }

    // Log softmax of all logits but the last row's at the id that follows, in double.
    private static double[] Expected(float[] logits, int[] ids, int vocabulary) =>
    [
        .. Enumerable.Range(0, ids.Length - 1).Select(row =>
        {
            ReadOnlySpan<float> values = logits.AsSpan(row * vocabulary, vocabulary);
            double sum = 0;
            foreach (float value in values)
                sum += Math.Exp(value);
            return values[ids[row + 1]] - Math.Log(sum);
        }),
    ];

    private static double Difference(float[] actual, double[] expected)
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length));
        Assert.That(actual, Has.None.NaN);
        return actual.Zip(expected, (a, e) => Math.Abs(a - e)).Max();
    }

    private static Task<int[]> Draw(Engine engine, int[] prompt, GenerationOptions options) => engine.GenerateAsync(prompt, options).IdsAsync();

    private static int[] Prompt(int length)
    {
        using GoldenData golden = GoldenData.Open("tiny-qwen3.6");
        int[] ids = golden.Prompts.MaxBy(p => p.Ids.Length)!.Ids;
        return [.. Enumerable.Range(0, length).Select(i => ids[i % ids.Length])];
    }
}
