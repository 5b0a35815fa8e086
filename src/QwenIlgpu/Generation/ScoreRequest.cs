namespace QwenIlgpu;

/// <summary>A request for the log-probability of each of its tokens but the first; it draws nothing.</summary>
internal sealed class ScoreRequest(int[] ids) : IRequest
{
    private readonly TaskCompletionSource<float[]> result = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private float[] scores = [];
    private EngineSeats? seats;
    private int ended;

    // The last token predicts none of the text.
    public SequenceProgress Sequence { get; } = new(ids, ids.Length - 1, ids.Length - 1);

    public bool Decoding => false;

    public int CachedTokens => Sequence.FedTokens;

    public int RoomTokens => Sequence.PrefillTokens;

    /// <summary>Tokens whose scores the host has seen.</summary>
    public int ScoredTokens { get; private set; }

    /// <summary>All scores, once the last is there.</summary>
    public Task<float[]> Scores => result.Task;

    public void Sit(EngineSeats seats) => this.seats = seats;

    public void Begin(long timestamp) => scores = new float[Sequence.Ids.Length - 1];

    public SlotContents? ContentsFor(Sampler sampler) => null;

    public StepSequence NextPrefill(int budgetRows)
    {
        int position = Sequence.FedTokens;
        int rows = Sequence.NextRows(budgetRows);

        // Where it began again no token is scored twice.
        bool scores = position >= ScoredTokens;
        if (!scores)
            rows = Math.Min(rows, ScoredTokens - position);
        return new StepSequence(
            Sequence.Slot, position, Sequence.Ids.AsMemory(position, rows), LogitsWanted.None,
            scores ? Sequence.Ids.AsMemory(position + 1, rows) : default);
    }

    public void QueuedPrefill(in StepSequence part, QueuedStep step)
    {
        Sequence.Feed(part.Tokens.Length);
        if (part.Targets.Length > 0)
            step.Add(this, part.Targets.Length);
    }

    public void Restart() => Sequence.Restart();

    public bool Take(StepResults results, int firstRow, int rows, long timestamp)
    {
        ReadOnlySpan<float> read = results.Scores.Span.Slice(firstRow, rows);
        for (int i = 0; i < read.Length; i++)
        {
            if (float.IsNaN(read[i]))
                throw new NonFiniteLogitsException(ScoredTokens + i + 1);
        }

        read.CopyTo(scores.AsSpan(ScoredTokens));
        ScoredTokens += rows;
        return ScoredTokens == scores.Length;
    }

    public void Complete()
    {
        if (End())
            result.SetResult(scores);
    }

    public void Fail(Exception error)
    {
        if (End())
            result.SetException(error);
    }

    // The seat is free before the reader goes on.
    private bool End()
    {
        if (Interlocked.Exchange(ref ended, 1) != 0)
            return false;
        seats?.Return();
        return true;
    }
}
