namespace QwenIlgpu;

/// <summary>The steps in flight, in order: whose they are, and where on the host their results arrive.</summary>
internal sealed class StepRing
{
    private readonly QueuedStep[] places;
    private long queued;
    private long taken;

    /// <summary>A ring of so many steps, each of at most so many parts, rows that draw and rows that are scored.</summary>
    public StepRing(DeviceMemory memory, int steps, int parts, int rows, int scoredRows) =>
        places = [.. Enumerable.Range(0, steps).Select(_ => new QueuedStep(parts, new StepResults(memory, rows, scoredRows)))];

    /// <summary>Steps queued and not taken.</summary>
    public int InFlight => (int)(queued - taken);

    /// <summary>Whether the host has to take a step before it can queue another.</summary>
    public bool IsFull => InFlight == places.Length;

    /// <summary>The next step's place, emptied; it counts from <see cref="Queue"/> on.</summary>
    public QueuedStep Next()
    {
        QueuedStep step = places[(int)(queued % places.Length)];
        step.Clear();
        return step;
    }

    public void Queue() => queued++;

    /// <summary>The oldest step, whose place is free once another has been queued in it.</summary>
    public QueuedStep Take() => places[(int)(taken++ % places.Length)];
}

/// <summary>The requests whose results a step has, each with its rows; reused from step to step.</summary>
internal sealed class QueuedStep(int capacity, StepResults results)
{
    private readonly StepPart[] parts = new StepPart[capacity];
    private int count;

    public ReadOnlySpan<StepPart> Parts => parts.AsSpan(0, count);

    public StepResults Results { get; } = results;

    /// <summary>Rows that a token is drawn for.</summary>
    public int DrawnRows { get; private set; }

    /// <summary>Rows that are scored.</summary>
    public int ScoredRows { get; private set; }

    public bool HasResults => count > 0;

    /// <summary>Adds a request that draws a token.</summary>
    public void Add(GenerationRequest request) => parts[count++] = new StepPart(request, DrawnRows++, 1);

    /// <summary>Adds a request that so many rows are scored of, one behind the other.</summary>
    public void Add(ScoreRequest request, int rows)
    {
        parts[count++] = new StepPart(request, ScoredRows, rows);
        ScoredRows += rows;
    }

    /// <summary>Adds a row that draws a token which nobody takes.</summary>
    public void AddUnread() => DrawnRows++;

    public void Clear() => count = DrawnRows = ScoredRows = 0;
}

/// <summary>A request's rows among those that draw, or among those that are scored.</summary>
internal readonly record struct StepPart(IRequest Request, int FirstRow, int Rows);
