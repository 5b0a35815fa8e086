namespace QwenIlgpu.PtxMachine;

/// <summary>A queue of work. While it is captured, what it is given becomes nodes of a graph.</summary>
internal sealed class DriverStream(DriverContext context, bool isBlocking) : IDriverObject
{
    private const nint Legacy = 1;
    private const nint PerThread = 2;

    public HandleKind Kind => HandleKind.Stream;

    public DriverContext Context { get; } = context;

    /// <summary>0 of the NULL stream.</summary>
    public nint Handle { get; set; }

    /// <summary>Whether it waits for the NULL stream, and the NULL stream for it.</summary>
    public bool IsBlocking { get; } = isBlocking;

    /// <summary>The work that is next; null: none.</summary>
    public QueuedWork? Head { get; set; }

    public QueuedWork? Tail { get; set; }

    /// <summary>Number of the work that was given last.</summary>
    public long Given { get; set; }

    /// <summary>Number of the work that was done last.</summary>
    public long Done { get; set; }

    public DriverCapture? Capture { get; set; }

    /// <summary>Nodes of the capture that the stream's next node follows.</summary>
    public List<int> Ends { get; } = [];

    private bool IsNull => Context.NullStream == this;

    /// <summary>The stream of a handle; the contexts' own NULL streams have 0 and 1.</summary>
    public static DriverStream Of(nint handle)
    {
        DriverException.ThrowUnless(handle != PerThread, DriverResult.NotSupported);
        return handle is 0 or Legacy ? DriverContext.Bound.NullStream : MachineDriver.Handles.Get<DriverStream>(handle);
    }

    /// <summary>The stream that work is given to.</summary>
    /// <exception cref="DriverException">Its capture is lost, or it is the NULL stream and a stream that waits for it is captured.</exception>
    public static DriverStream ForWork(nint handle)
    {
        DriverStream stream = Of(handle);
        if (stream.Capture is { IsBroken: true })
            throw new DriverException(DriverResult.StreamCaptureInvalidated);
        if (stream.IsNull && MachineDriver.Captures.Count > 0)
            DriverCapture.ThrowIfDependsOn(stream.Context);
        return stream;
    }

    /// <summary>A task to be set and then given.</summary>
    public DriverTask NewTask() => Capture is null ? MachineDriver.Schedule.Take(WorkKind.Task) : new DriverTask();

    /// <summary>Takes a task that <see cref="NewTask"/> made.</summary>
    public void Give(DriverTask task)
    {
        if (Capture is { } capture)
            capture.Add(this, task);
        else
            MachineDriver.Schedule.Give(this, (QueuedWork)task);
    }

    /// <summary>Waits for all it was given.</summary>
    public void Synchronize()
    {
        if (Capture is { } capture)
        {
            capture.IsBroken = true;
            throw new DriverException(DriverResult.StreamCaptureUnsupported);
        }

        MachineDriver.Schedule.RunTo(this, Given);
        Context.ThrowFailure();
    }
}

/// <summary>What stands in a stream's queue.</summary>
internal enum WorkKind
{
    Task,
    Record,
    Wait,
    Graph,
}

/// <summary>An entry of a stream's queue. It is used again when it is done.</summary>
internal sealed class QueuedWork : DriverTask
{
    public WorkKind Work { get; set; }

    /// <summary>Its number among all that was ever given.</summary>
    public long Ticket { get; set; }

    /// <summary>Its number in its stream.</summary>
    public long Number { get; set; }

    /// <summary>Where the awaited work stands; null: nothing is awaited but the work before it in its own stream.</summary>
    public DriverStream? Awaited { get; set; }

    public long AwaitedNumber { get; set; }

    public DriverEvent? Event { get; set; }

    public DriverExecutable? Executable { get; set; }

    /// <summary>The graph's nodes as they were when it was launched.</summary>
    public IReadOnlyList<GraphNode>? Nodes { get; set; }

    /// <summary>Whether the graph has begun.</summary>
    public bool IsBegun { get; set; }

    public QueuedWork? Next { get; set; }
}
