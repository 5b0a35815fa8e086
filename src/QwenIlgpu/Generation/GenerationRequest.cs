namespace QwenIlgpu;

/// <summary>A request that draws tokens behind its prompt.</summary>
internal sealed class GenerationRequest(int[] promptIds, int maxTokens, IReadOnlySet<int> endIds, ResolvedSampling sampling, TokenStream stream)
    : IRequest
{
    private FinishReason reason;
    private int reportedTokens;

    // The last drawn token is never fed.
    public SequenceProgress Sequence { get; } = new(promptIds, promptIds.Length, (long)promptIds.Length + maxTokens - 1);

    public int MaxTokens { get; } = maxTokens;

    /// <summary>Ids that end the generation; empty when it goes on past them.</summary>
    public IReadOnlySet<int> EndIds { get; } = endIds;

    public ResolvedSampling Sampling { get; } = sampling;

    public TokenStream Stream { get; } = stream;

    /// <summary>Told of each step that is queued with a part of the prompt.</summary>
    public IProgress<PromptProgress>? PromptProgress { get; init; }

    /// <summary>Tokens drawn by steps that have been queued, the host having seen them or not.</summary>
    public int QueuedTokens { get; private set; }

    /// <summary>Tokens that the host has seen.</summary>
    public int GeneratedTokens { get; private set; }

    /// <summary>Those tokens.</summary>
    public ReadOnlySpan<int> GeneratedIds => Stream.Written;

    public bool Decoding => !Sequence.Prefilling && QueuedTokens < MaxTokens;

    /// <summary>It began again: the next decode step feeds a token that it has handed out, and the one behind it is known, too.</summary>
    public bool Replaying => !Sequence.Prefilling && QueuedTokens < GeneratedTokens;

    /// <summary>What a decode step of the replay feeds, and where.</summary>
    public (int Token, int Position) NextReplayed => (Stream[QueuedTokens - 1], Sequence.Ids.Length + QueuedTokens - 1);

    /// <summary>Steps have drawn for it what nobody asked for: its slot must be told where it is before a step draws its next token.</summary>
    public bool HasReplayed { get; private set; }

    // Of the tokens drawn the last is not fed yet.
    public int CachedTokens => Sequence.FedTokens + Math.Max(0, QueuedTokens - 1);

    public int RoomTokens => Sequence.Ids.Length + Math.Max(QueuedTokens, GeneratedTokens);

    public void Sit(EngineSeats seats) => Stream.Sit(seats);

    public void Begin(long timestamp) => Stream.Begin(timestamp);

    public SlotContents? ContentsFor(Sampler sampler) => sampler.ContentsOf(this);

    public StepSequence NextPrefill(int budgetRows)
    {
        int rows = Sequence.NextRows(budgetRows);
        return new StepSequence(
            Sequence.Slot, Sequence.FedTokens, Sequence.Ids.AsMemory(Sequence.FedTokens, rows),
            rows == Sequence.Rest && GeneratedTokens == 0 ? LogitsWanted.Last : LogitsWanted.None);
    }

    public void QueuedPrefill(in StepSequence part, QueuedStep step)
    {
        Sequence.Feed(part.Tokens.Length);
        if (Sequence.FedTokens > reportedTokens)
        {
            reportedTokens = Sequence.FedTokens;
            PromptProgress?.Report(new PromptProgress(reportedTokens, Sequence.Ids.Length));
        }

        if (Sequence.Prefilling)
            return;
        if (GeneratedTokens == 0)
            QueuedDraw(step);
        else
            QueuedTokens = 1;
    }

    /// <summary>The step that is queued next draws a token for it.</summary>
    public void QueuedDraw(QueuedStep step)
    {
        QueuedTokens++;
        step.Add(this);
    }

    /// <summary>The step that is queued next feeds it a token that it has handed out; what it draws counts for nothing.</summary>
    public void QueuedReplay(QueuedStep step)
    {
        QueuedTokens++;
        HasReplayed = true;
        step.AddUnread();
    }

    /// <summary>Its slot is as if all its tokens had been drawn there.</summary>
    public void Resumed() => HasReplayed = false;

    public void Restart()
    {
        Sequence.Restart();
        QueuedTokens = 0;
    }

    public bool Take(StepResults results, int firstRow, int rows, long timestamp)
    {
        int id = results.Ids.Span[firstRow];
        if (id == Kernels.DrawnId.NonFinite)
            throw new NonFiniteLogitsException(Sequence.Ids.Length + GeneratedTokens);
        if (id == Kernels.DrawnId.Nothing)
        {
            throw new InvalidOperationException(
                $"no token can be drawn after {GeneratedTokens} tokens: LogitBias and AllowedTokenIds forbid every one");
        }

        bool ends = Ends(id);
        results.Write(firstRow, Stream, timestamp);
        return ends;
    }

    public void Complete() => Stream.Complete(reason);

    public void Fail(Exception error) => Stream.Fail(error);

    // The device decides alike.
    private bool Ends(int id)
    {
        GeneratedTokens++;
        reason = EndIds.Contains(id) ? FinishReason.Stop : FinishReason.Length;
        return reason == FinishReason.Stop || GeneratedTokens == MaxTokens;
    }
}
