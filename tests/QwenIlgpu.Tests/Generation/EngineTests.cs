using ILGPU.Runtime;

namespace QwenIlgpu.Tests;

[NonParallelizable]
internal sealed class EngineTests
{
    private const int Eos = 2041;

    private static readonly int[] Prompt = TestModels.Tiny.Tokenize(
        "<|im_start|>user\nWhat is the capital of Norway?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n", parseSpecial: true);

    private static SamplingOptions Greedy { get; } = new() { Temperature = 0 };

    [Test]
    public async Task AnswersAndReportsWhyAndHowMuch()
    {
        await using var engine = new Engine(TestModels.Tiny);

        List<GenerationUpdate> updates = await Collect(engine.GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy }));

        Assert.That(Text(updates), Does.Contain("Oslo"));
        Assert.That(updates.Take(updates.Count - 1), Has.All.Matches<GenerationUpdate>(u => u!.FinishReason is null && u.Usage is null));
        GenerationUpdate last = updates[^1];
        Assert.That(last.FinishReason, Is.EqualTo(FinishReason.Stop));
        int[] ids = [.. updates.SelectMany(u => u.TokenIds)];
        Assert.That(ids[^1], Is.EqualTo(Eos));
        Assert.That((last.Usage!.PromptTokens, last.Usage.CompletionTokens, last.Usage.Seed), Is.EqualTo((Prompt.Length, ids.Length, (ulong?)null)));
    }

    [Test]
    public async Task EndsAtMaxTokens()
    {
        await using var engine = new Engine(TestModels.Tiny);

        List<GenerationUpdate> updates = await Collect(engine.GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy, MaxTokens = 2 }));

        Assert.That(updates.Sum(u => u.TokenIds.Count), Is.EqualTo(2));
        Assert.That(updates[^1].FinishReason, Is.EqualTo(FinishReason.Length));
    }

    [Test]
    public async Task EndsAtTheContextsEnd()
    {
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { ContextTokens = Prompt.Length + 4 });

        List<GenerationUpdate> updates = await Collect(engine.GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy, IgnoreEos = true }));

        Assert.That(updates.Sum(u => u.TokenIds.Count), Is.EqualTo(5), "the last token drawn needs no place in the cache");
        Assert.That(updates[^1].FinishReason, Is.EqualTo(FinishReason.Length));
    }

    [Test]
    public async Task StopStringIsNeverEmitted()
    {
        await using var engine = new Engine(TestModels.Tiny);

        List<GenerationUpdate> updates = await Collect(engine.GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy, StopStrings = ["Oslo"] }));

        Assert.That(Text(updates), Does.Not.Contain("Os").And.Not.Empty);
        Assert.That(updates[^1].FinishReason, Is.EqualTo(FinishReason.Stop));
    }

    [Test]
    public async Task SampledTokensDependOnSeedAloneNotOnCompany()
    {
        await using var engine = new Engine(TestModels.Tiny);
        var options = new GenerationOptions { MaxTokens = 24, IgnoreEos = true, Sampling = new SamplingOptions { Temperature = 1.5f, Seed = 7 } };

        int[] alone = Ids(await Collect(engine.GenerateAsync(Prompt, options)));
        int[][] together = await Task.WhenAll(Enumerable.Range(0, 4).Select(async i =>
            Ids(await Collect(engine.GenerateAsync(Prompt, options with { Sampling = options.Sampling with { Seed = i == 2 ? 7ul : 100 + (ulong)i } })))));

        Assert.That(together[2], Is.EqualTo(alone));
        Assert.That(together[1], Is.Not.EqualTo(alone));
    }

    [Test]
    public async Task StepsQueuedAheadChangeNothing()
    {
        var ahead = new StepRunnerOptions(StepsInFlight: 2);
        var options = new EngineOptions { MaxSequences = 3 };
        await using var first = new Engine(TestModels.Tiny, options, new StepRunnerOptions(StepsInFlight: 1));
        await using var second = new Engine(TestModels.Tiny, options, ahead);

        // Ends by an end id, by length and by a stop string, greedy and drawn, more requests than slots.
        GenerationOptions[] requests =
        [
            .. Enumerable.Range(0, 9).Select(i => new GenerationOptions
            {
                MaxTokens = i % 3 == 0 ? 5 : 40,
                StopStrings = i % 3 == 1 ? ["Oslo"] : [],
                Sampling = i % 2 == 0 ? Greedy : new SamplingOptions { Temperature = 1.3f, TopK = 30, Seed = (ulong)i, PresencePenalty = 0.5f },
            }),
        ];
        async Task<string[]> All(Engine engine) => await Task.WhenAll(requests.Select(async o =>
        {
            List<GenerationUpdate> updates = await Collect(engine.GenerateAsync(Prompt, o));
            return $"{Text(updates)} | {string.Join(' ', Ids(updates))} | {updates[^1].FinishReason}";
        }));

        Assert.That(await All(second), Is.EqualTo(await All(first)));
    }

    // On CUDA the first engine replays captured graphs; elsewhere both run the same loop.
    [Test]
    public async Task GraphsChangeNothing()
    {
        var options = new GenerationOptions { MaxTokens = 30, IgnoreEos = true, Sampling = new SamplingOptions { Temperature = 0.9f, Seed = 3 } };
        var drawn = new List<int[]>();
        foreach (bool graphs in new[] { true, false })
        {
            await using var engine = new Engine(TestModels.Tiny, new EngineOptions { CudaGraphs = graphs });
            drawn.Add(Ids(await Collect(engine.GenerateAsync(Prompt, options))));
        }

        Assert.That(drawn[0], Is.EqualTo(drawn[1]));
    }

    [Test]
    public async Task UnsetSeedIsDrawnReportedAndReproduces()
    {
        await using var engine = new Engine(TestModels.Tiny);
        var options = new GenerationOptions { MaxTokens = 16, IgnoreEos = true, Sampling = new SamplingOptions { Temperature = 1.2f } };

        List<GenerationUpdate> first = await Collect(engine.GenerateAsync(Prompt, options));
        ulong seed = first[^1].Usage!.Seed!.Value;
        List<GenerationUpdate> again = await Collect(engine.GenerateAsync(Prompt, options with { Sampling = options.Sampling! with { Seed = seed } }));

        Assert.That(Ids(again), Is.EqualTo(Ids(first)));
    }

    [Test]
    public async Task LogProbabilitiesComeWithEveryToken()
    {
        await using var engine = new Engine(TestModels.Tiny);
        var options = new GenerationOptions { MaxTokens = 8, IgnoreEos = true, Sampling = Greedy with { TopLogProbs = 3 } };

        List<GenerationUpdate> updates = await Collect(engine.GenerateAsync(Prompt, options));

        TokenLogProbs[] all = [.. updates.SelectMany(u => u.LogProbs!)];
        Assert.That(all.Select(l => l.TokenId), Is.EqualTo(Ids(updates)));
        Assert.That(all, Has.All.Matches<TokenLogProbs>(l => l!.Top.Count == 3 && l.Top[0] == new TokenLogProb(l.TokenId, l.LogProbability) && l.LogProbability <= 0));
    }

    [Test]
    public async Task MoreRequestsThanSlotsWaitTheirTurn()
    {
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { MaxSequences = 2 });

        string[] answers = await Task.WhenAll(Enumerable.Range(0, 7).Select(async _ =>
            Text(await Collect(engine.GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy })))));

        Assert.That(answers, Has.All.Contain("Oslo"));
    }

    [Test]
    public async Task LeavingTheLoopFreesTheSequence()
    {
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { MaxSequences = 1 });
        await foreach (GenerationUpdate update in engine.GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy, IgnoreEos = true, MaxTokens = 4000 }))
        {
            if (update.Text.Length > 0)
                break;
        }

        // With one slot, this waits for ever unless the first sequence has been freed.
        List<GenerationUpdate> next = await Collect(engine.GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy, MaxTokens = 2 }))
            .WaitAsync(TimeSpan.FromSeconds(30));

        Assert.That(next[^1].FinishReason, Is.EqualTo(FinishReason.Length));
    }

    [Test]
    public async Task CancellingEndsTheLoopAndFreesTheSequence()
    {
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { MaxSequences = 1 });
        using var cancellation = new CancellationTokenSource();
        IAsyncEnumerator<GenerationUpdate> updates = engine
            .GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy, IgnoreEos = true, MaxTokens = 4000 }, cancellation.Token).GetAsyncEnumerator();
        await updates.MoveNextAsync();

        await cancellation.CancelAsync();

        Assert.That(
            async () =>
            {
                while (await updates.MoveNextAsync())
                {
                }
            },
            Throws.InstanceOf<OperationCanceledException>());
        await updates.DisposeAsync();
        Assert.That(await Collect(engine.GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy, MaxTokens = 2 })), Is.Not.Empty);
    }

    [Test]
    public async Task SlowReaderStallsNobody()
    {
        await using var engine = new Engine(TestModels.Tiny);
        await using IAsyncEnumerator<GenerationUpdate> slow = engine
            .GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy, IgnoreEos = true, MaxTokens = 64 }).GetAsyncEnumerator();
        Assert.That(await slow.MoveNextAsync(), Is.True);

        // The slow reader reads nothing more while the other request runs to its end.
        List<GenerationUpdate> other = await Collect(engine.GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy }));

        Assert.That(other[^1].FinishReason, Is.EqualTo(FinishReason.Stop));
        int rest = 0;
        while (await slow.MoveNextAsync())
            rest += slow.Current.TokenIds.Count;
        Assert.That(rest, Is.GreaterThan(40));
    }

    [Test]
    public async Task DisposingEndsLiveRequestsAndRefusesFurtherOnes()
    {
        var engine = new Engine(TestModels.Tiny);
        IAsyncEnumerator<GenerationUpdate> updates = engine
            .GenerateAsync(Prompt, new GenerationOptions { Sampling = Greedy, IgnoreEos = true, MaxTokens = 4000 }).GetAsyncEnumerator();
        await updates.MoveNextAsync();

        await engine.DisposeAsync();

        Assert.That(
            async () =>
            {
                while (await updates.MoveNextAsync())
                {
                }
            },
            Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => engine.GenerateAsync(Prompt), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public async Task TwoEnginesShareOneModel()
    {
        await using var first = new Engine(TestModels.Tiny);
        await using var second = new Engine(TestModels.Tiny);
        var options = new GenerationOptions { Sampling = Greedy };

        string[] answers = await Task.WhenAll(new[] { first, second }.Select(async e => Text(await Collect(e.GenerateAsync(Prompt, options)))));

        Assert.That(answers[0], Does.Contain("Oslo").And.EqualTo(answers[1]));
    }

    [Test]
    public async Task FaultEndsEveryRequestWithThatOneException()
    {
        // Overwrites a norm weight of a model of its own: in checked mode the first step then fails on the engine's thread.
        await using QwenModel model = TestModels.Load(TestData.TinyModel);
        model.Weights.Norm.Values.MemSet(model.Device.Stream, 0xff);
        model.Device.Synchronize();
        await using var engine = new Engine(model, new EngineOptions { MaxSequences = 2 }, new StepRunnerOptions(Checked: true));

        Exception[] errors = await Task.WhenAll(Enumerable.Range(0, 5).Select(async Task<Exception> (_) =>
        {
            try
            {
                await Collect(engine.GenerateAsync(Prompt));
                return new AssertionException("the request ended without an error");
            }
            catch (InvalidOperationException e)
            {
                return e;
            }
        }));

        Assert.That(errors, Has.All.SameAs(errors[0]));
        Assert.That(errors[0].Message, Does.Contain("normed").And.Contain("NaN"));
        Assert.That(() => engine.GenerateAsync(Prompt), Throws.Exception.SameAs(errors[0]));
    }

    [Test]
    public async Task ModelIsNotDisposedUnderAnEngine()
    {
        QwenModel model = TestModels.Load(TestData.TinyModel);
        var engine = new Engine(model);

        Assert.That(async () => await model.DisposeAsync(), Throws.InvalidOperationException.With.Message.Contains("1 engine"));

        await engine.DisposeAsync();
        await engine.DisposeAsync();
        await model.DisposeAsync();
        await model.DisposeAsync();
        Assert.That(() => new Engine(model), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public async Task RefusesBadPromptsInTheCallItself()
    {
        await using var engine = new Engine(TestModels.Tiny, new EngineOptions { ContextTokens = 64 });

        Assert.That(() => engine.GenerateAsync(Array.Empty<int>()), Throws.ArgumentException.With.Message.Contains("empty"));
        Assert.That(() => engine.GenerateAsync(new[] { 1, 2048 }), Throws.ArgumentException.With.Message.Contains("2048 at index 1").And.Message.Contains("0 to 2047"));
        Assert.That(() => engine.GenerateAsync(new[] { -1 }), Throws.ArgumentException.With.Message.Contains("-1"));
        Assert.That(() => engine.GenerateAsync(new int[65]), Throws.ArgumentException.With.Message.Contains("65 tokens").And.Message.Contains("64"));
        Assert.That(() => engine.GenerateAsync(Prompt, new GenerationOptions { MaxTokens = 0 }), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => engine.GenerateAsync(Prompt, new GenerationOptions { StopStrings = [""] }), Throws.ArgumentException);
        Assert.That(
            () => engine.GenerateAsync(Prompt, new GenerationOptions { Sampling = new SamplingOptions { TopP = 2 } }),
            Throws.InstanceOf<ArgumentException>().With.Message.Contains("TopP"));
    }

    [TestCase(0, 0, 512, "MaxSequences")]
    [TestCase(65, 0, 512, "MaxSequences")]
    [TestCase(1, 5000, 512, "ContextTokens")]
    [TestCase(1, 0, 100, "PrefillChunkTokens")]
    [TestCase(1, 0, -64, "PrefillChunkTokens")]
    [TestCase(1, 0, 16384, "PrefillChunkTokens")]
    public void RefusesBadEngineOptions(int sequences, int context, int chunk, string option)
    {
        var options = new EngineOptions { MaxSequences = sequences, ContextTokens = context, PrefillChunkTokens = chunk };

        Assert.That(() => new Engine(TestModels.Tiny, options), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains(option));
    }

    [Test]
    public async Task MessagesAreRenderedAndReasoningIsTold()
    {
        await using var engine = new Engine(TestModels.Tiny);
        PromptMessage[] messages = [PromptMessage.User("Tell me a story about a fox.")];

        List<GenerationUpdate> updates = await Collect(engine.GenerateAsync(messages, options: new GenerationOptions { Sampling = Greedy, MaxTokens = 64 }));

        string reasoning = string.Concat(updates.Where(u => u.Kind == TextKind.Reasoning).Select(u => u.Text));
        Assert.That(reasoning, Is.EqualTo("I will tell a story about Nora and a fox."));
        Assert.That(Text(updates), Does.StartWith("Long ago, in a house by the beach"));
        Assert.That(updates[^1].Usage!.ReasoningTokens, Is.InRange(5, 20));
    }

    private static string Text(List<GenerationUpdate> updates) => string.Concat(updates.Where(u => u.Kind == TextKind.Answer).Select(u => u.Text));

    private static int[] Ids(List<GenerationUpdate> updates) => [.. updates.SelectMany(u => u.TokenIds)];

    private static async Task<List<GenerationUpdate>> Collect(IAsyncEnumerable<GenerationUpdate> updates)
    {
        var all = new List<GenerationUpdate>();
        await foreach (GenerationUpdate update in updates)
            all.Add(update);
        return all;
    }
}
