namespace QwenIlgpu.Testing;

/// <summary>One runner with helpers to push whole sequences through it, for tests that compare paths of computation.</summary>
internal sealed class SequenceRunner : IDisposable
{
    private readonly NumberPool pages;
    private readonly int[][] pagesOf;

    public SequenceRunner(
        QwenModel model, KvType kvType = KvType.F32, int maxSequences = 4, int contextTokens = 1024, StepRunnerOptions? options = null,
        DeltaStateType stateType = DeltaStateType.F32)
    {
        EngineCapacity capacity = new EngineOptions
        {
            MaxSequences = maxSequences,
            ContextTokens = contextTokens,
            CacheTokens = contextTokens * maxSequences,
            PrefillChunkTokens = 512,
            KvType = kvType,
            DeltaStateType = stateType,
        }.Resolve(model.Config);
        Runner = new StepRunner(model, capacity, options);
        Vocabulary = model.Config.VocabSize;

        // Page numbers are dealt out in reverse, so that no test passes by pages lying in order.
        pages = new NumberPool(capacity.Pages);
        int[] all = [.. Enumerable.Range(0, pages.Available).Select(_ => pages.Take())];
        pagesOf = [.. all.Reverse().Chunk(capacity.PagesPerSequence)];
        for (int slot = 1; slot <= maxSequences; slot++)
            Runner.State.SetPages(slot, pagesOf[slot - 1]);
    }

    public StepRunner Runner { get; }

    public int Vocabulary { get; }

    /// <summary>The pages that a slot was dealt.</summary>
    public ReadOnlySpan<int> PagesOf(int slot) => pagesOf[slot - 1];

    /// <summary>Lets a slot read another's pages of its first tokens, and go on in its own.</summary>
    public void SharePages(int slot, int owner, int tokens)
    {
        int shared = tokens / Kernels.KvCache.PageTokens;
        Runner.State.SetPages(slot, [.. pagesOf[owner - 1][..shared], .. pagesOf[slot - 1][shared..]]);
    }

    /// <summary>Logits of every position, [T, Vocab], the prompt fed in chunks of at most <paramref name="chunkTokens"/>.</summary>
    public float[] Prefill(int[] ids, int chunkTokens = 512, int slot = 1)
    {
        var logits = new List<float[]>();
        for (int position = 0; position < ids.Length; position += chunkTokens)
        {
            int count = Math.Min(chunkTokens, ids.Length - position);
            BoundStep step = Runner.Run(
                StepKind.Prefill, [new StepSequence(slot, position, ids.AsMemory(position, count), LogitsWanted.All)], samples: false);
            logits.Add(Runner.ReadLogits(step));
        }

        return [.. logits.SelectMany(l => l)];
    }

    /// <summary>Logits of the rows of one step of a sequence that goes on.</summary>
    public float[] PrefillFrom(int position, int[] ids, int slot) =>
        Runner.ReadLogits(Runner.Run(StepKind.Prefill, [new StepSequence(slot, position, ids, LogitsWanted.All)], samples: false));

    /// <summary>Logits of every position, the tokens fed one a step.</summary>
    public float[] Decode(int[] ids, int slot = 1, int firstPosition = 0)
    {
        var logits = new List<float>();
        for (int i = 0; i < ids.Length; i++)
        {
            BoundStep step = Runner.Run(
                StepKind.Decode, [new StepSequence(slot, firstPosition + i, ids.AsMemory(i, 1), LogitsWanted.Last)], samples: false);
            logits.AddRange(Runner.ReadLogits(step));
        }

        return [.. logits];
    }

    public float[] Row(float[] logits, int row) => logits.AsSpan(row * Vocabulary, Vocabulary).ToArray();

    public void Dispose() => Runner.Dispose();
}
