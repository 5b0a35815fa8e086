namespace QwenIlgpu.Cli.Eval;

/// <summary>Logits at every position of token ids, step by step, so that memory does not grow with their number.</summary>
internal sealed class PositionLogits : IDisposable
{
    /// <summary>The slot of the one sequence.</summary>
    public const int Slot = 1;

    private const int MostStepTokens = 512;

    private readonly QwenModel model;
    private readonly StepRunner runner;

    /// <param name="model">The model.</param>
    /// <param name="longest">Tokens of the longest text.</param>
    /// <param name="kvType">Type of the attention cache.</param>
    /// <param name="stateType">Type of the recurrent states.</param>
    public PositionLogits(QwenModel model, int longest, KvType kvType, DeltaStateType stateType)
    {
        this.model = model;
        int chunkTokens = Math.Min(Ops.MostLogitRows(model.Config.VocabSize), MostStepTokens);
        runner = RunnerOf(model, new EngineOptions { ContextTokens = longest, PrefillChunkTokens = chunkTokens, KvType = kvType, DeltaStateType = stateType });
    }

    /// <summary>A runner whose one sequence, in <see cref="Slot"/>, has all pages.</summary>
    public static StepRunner RunnerOf(QwenModel model, EngineOptions options)
    {
        var runner = new StepRunner(model, (options with { MaxSequences = 1, PrefixCache = PrefixCacheMode.Off }).Resolve(model.Config));
        runner.State.SetPages(Slot, [.. Enumerable.Range(1, runner.Capacity.PagesPerSequence)]);
        return runner;
    }

    /// <summary>Rows of so many columns, one for each position, in the order of the text; several at a time.</summary>
    /// <exception cref="InvalidDataException">A logit of a token is NaN or infinite.</exception>
    public IEnumerable<float[]> Of(int[] ids, CancellationToken cancellation)
    {
        int step = runner.Capacity.PrefillChunkTokens;
        for (int position = 0; position < ids.Length; position += step)
        {
            cancellation.ThrowIfCancellationRequested();
            int count = Math.Min(step, ids.Length - position);
            var sequence = new StepSequence(Slot, position, ids.AsMemory(position, count), LogitsWanted.All);
            float[] logits = runner.ReadLogits(runner.Run(StepKind.Prefill, [sequence], samples: false));
            if (FirstBrokenRow(logits) is { } row)
                throw model.Explain(new NonFiniteLogitsException(position + row + 1), cancellation);
            yield return logits;
        }
    }

    public void Dispose() => runner.Dispose();

    // Columns that no token has may hold anything.
    private int? FirstBrokenRow(float[] logits)
    {
        int columns = model.Config.VocabSize;
        for (int row = 0; row < logits.Length / columns; row++)
        {
            ReadOnlySpan<float> tokens = logits.AsSpan(row * columns, model.VocabularySize);
            for (int id = 0; id < tokens.Length; id++)
            {
                if (!float.IsFinite(tokens[id]) && model.HasToken(id))
                    return row;
            }
        }

        return null;
    }
}
