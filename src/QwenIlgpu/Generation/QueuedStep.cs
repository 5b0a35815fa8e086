namespace QwenIlgpu;

/// <summary>The requests whose logits rows a queued step draws for and whose rows it scores, both in order; reused from step to step.</summary>
internal sealed class QueuedStep(int capacity)
{
    private readonly GenerationRequest[] requests = new GenerationRequest[capacity];
    private readonly ScoredPart[] scored = new ScoredPart[capacity];
    private int scoredCount;

    public int Count { get; private set; }

    public GenerationRequest this[int row] => requests[row];

    public void Add(GenerationRequest request) => requests[Count++] = request;

    /// <summary>Parts that are scored; their rows lie one behind the other.</summary>
    public ReadOnlySpan<ScoredPart> Scored => scored.AsSpan(0, scoredCount);

    public int ScoredRows { get; private set; }

    public void AddScored(GenerationRequest request, int rows)
    {
        scored[scoredCount++] = new ScoredPart(request, ScoredRows, rows);
        ScoredRows += rows;
    }

    public void Clear() => Count = scoredCount = ScoredRows = 0;
}

/// <summary>A request's rows among those that a step scores.</summary>
internal readonly record struct ScoredPart(GenerationRequest Request, int FirstRow, int Rows);
