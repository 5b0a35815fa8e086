namespace QwenIlgpu.PtxMachine;

/// <summary>
/// The work of all streams, and in which order it runs. Nothing runs by itself: calls that wait, or ask, run it one piece after another,
/// holding the driver's gate; it is open while a kernel runs, so that other threads can make calls meanwhile.
/// </summary>
internal sealed class DriverSchedule(object gate)
{
    private const int MostAtOnce = 4;

    // Beyond what an engine queues before it waits, so that giving work allocates nothing.
    private const int PooledWork = 1024;

    private readonly List<DriverStream> busy = [];
    private readonly Stack<QueuedWork> pool = new(Enumerable.Range(0, PooledWork).Select(_ => new QueuedWork()));
    private Random random = new(0);
    private bool isRunning;
    private long tickets;

    private static WorkOrder Order => MachineDriver.Options.Order;

    public void Seed(int seed) => random = new Random(seed);

    /// <summary>A piece of work, to be given to a stream.</summary>
    public QueuedWork Take(WorkKind kind)
    {
        if (!pool.TryPop(out QueuedWork? work))
            work = new QueuedWork();
        work.Work = kind;
        return work;
    }

    public void Give(DriverStream stream, QueuedWork work)
    {
        long number = ++stream.Given;
        (work.Ticket, work.Number) = (++tickets, number);
        if (stream.Tail is { } tail)
        {
            tail.Next = work;
        }
        else
        {
            stream.Head = work;
            busy.Add(stream);
        }

        stream.Tail = work;
        if (Order != WorkOrder.AtOnce)
            return;
        RunTo(stream, number);
        if (!MachineDriver.Options.FaultsStick)
            stream.Context.ThrowFailure();
    }

    /// <summary>Runs work until that of a stream up to this number is done.</summary>
    public void RunTo(DriverStream stream, long number)
    {
        while (stream.Done < number)
            Step(stream);
    }

    /// <summary>Runs all that a context was given until now.</summary>
    public void RunAll(DriverContext context)
    {
        long last = tickets;
        while (Earliest(context) is { } stream && stream.Head!.Ticket <= last)
            Step(stream);
    }

    /// <summary>Runs some work, as much as the seed has it, where the order is drawn.</summary>
    /// <param name="least">How much at least, if there is any.</param>
    public void RunSome(int least)
    {
        if (Order != WorkOrder.Drawn)
            return;
        for (int left = random.Next(least, MostAtOnce); left > 0 && busy.Count > 0 && !isRunning; left--)
            Step(busy[0]);
    }

    // One piece of work, or the end of another thread's.
    private void Step(DriverStream wanted)
    {
        if (isRunning)
        {
            Monitor.Wait(gate);
            return;
        }

        DriverStream stream = Order == WorkOrder.Drawn ? Draw() : Needed(wanted);
        isRunning = true;
        try
        {
            if (Run(stream, stream.Head!))
                End(stream);
        }
        finally
        {
            isRunning = false;
            Monitor.PulseAll(gate);
        }
    }

    // Whether the work is done; of a graph, one node runs.
    private bool Run(DriverStream stream, QueuedWork work)
    {
        switch (work.Work)
        {
            case WorkKind.Record:
                work.Event!.Reach(work.Number);
                return true;
            case WorkKind.Task:
                Run(stream.Context, work);
                return true;
            case WorkKind.Graph:
                DriverExecutable graph = work.Executable!;
                if (!work.IsBegun)
                    graph.Begin(work.Nodes!);
                work.IsBegun = true;
                if (graph.TakeReady(Order == WorkOrder.Drawn ? random : null) is { } node)
                {
                    Run(stream.Context, work.Nodes![node].Task);
                    graph.End(node);
                }

                return graph.IsDone;
            default:
                return true;
        }
    }

    // What comes after the fault of a context is left undone.
    private static void Run(DriverContext context, DriverTask task)
    {
        if (context.IsPoisoned)
            return;
        try
        {
            task.Run();
        }
        catch (Exception e)
        {
            context.Fail(e);
        }
    }

    private void End(DriverStream stream)
    {
        QueuedWork work = stream.Head!;
        stream.Done = work.Number;
        stream.Head = work.Next;
        if (stream.Head is null)
        {
            stream.Tail = null;
            busy.Remove(stream);
        }

        work.Release();
        (work.Next, work.Awaited, work.Event, work.Executable, work.Nodes, work.IsBegun) = (null, null, null, null, null, false);
        pool.Push(work);
    }

    // Any of the streams whose next work can run.
    private DriverStream Draw()
    {
        int count = 0;
        foreach (DriverStream stream in busy)
            count += Blocker(stream) is null ? 1 : 0;
        int choice = random.Next(count);
        foreach (DriverStream stream in busy)
        {
            if (Blocker(stream) is null && choice-- == 0)
                return stream;
        }

        throw new InvalidOperationException("streams wait for each other");
    }

    // The stream whose next work must run for this one to go on.
    private DriverStream Needed(DriverStream stream)
    {
        while (Blocker(stream) is { } blocker)
            stream = blocker;
        return stream;
    }

    // The stream that a stream's next work waits for; null: it can run.
    private DriverStream? Blocker(DriverStream stream)
    {
        QueuedWork work = stream.Head!;
        if (work.Awaited is { } awaited && awaited.Done < work.AwaitedNumber)
            return awaited;
        DriverStream legacy = stream.Context.NullStream;
        if (stream != legacy)
            return stream.IsBlocking && legacy.Head is { } earlier && earlier.Ticket < work.Ticket ? legacy : null;
        foreach (DriverStream other in busy)
        {
            if (other != legacy && other.IsBlocking && other.Context == stream.Context && other.Head!.Ticket < work.Ticket)
                return other;
        }

        return null;
    }

    private DriverStream? Earliest(DriverContext context)
    {
        DriverStream? earliest = null;
        foreach (DriverStream stream in busy)
        {
            if (stream.Context == context && (earliest is null || stream.Head!.Ticket < earliest.Head!.Ticket))
                earliest = stream;
        }

        return earliest;
    }
}
