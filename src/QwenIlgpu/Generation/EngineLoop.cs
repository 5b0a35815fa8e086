using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using Microsoft.Extensions.Logging;

namespace QwenIlgpu;

/// <summary>The engine's thread: admits, steps, retires, until disposed or until the device fails.</summary>
internal sealed class EngineLoop : IAsyncDisposable
{
    private readonly ConcurrentQueue<IRequest> submitted = new();
    private readonly ConcurrentQueue<Errand> errands = new();
    private readonly SemaphoreSlim work = new(0);
    private readonly TaskCompletionSource started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly QwenModel model;
    private readonly StepRunnerOptions runnerOptions;
    private readonly ILogger logger;
    private readonly EngineSeats seats;
    private readonly Lock gate = new();
    private StepRunner? runner;
    private volatile Exception? fault;
    private volatile bool stopping;

    public EngineLoop(QwenModel model, EngineCapacity capacity, StepRunnerOptions runnerOptions)
    {
        (this.model, Capacity, this.runnerOptions) = (model, capacity, runnerOptions);
        seats = new EngineSeats(capacity.MaxSequences + (long)capacity.MaxQueuedRequests);
        logger = model.Loggers.CreateLogger<Engine>();
        var thread = new Thread(Run) { Name = "QwenIlgpu engine", IsBackground = true };
        thread.Start();
        started.Task.Wait();
        if (fault is { } error)
            ExceptionDispatchInfo.Throw(error);
    }

    /// <summary>As asked for at first, once the constructor is done with what was left to the device filled in.</summary>
    public EngineCapacity Capacity { get; private set; }

    /// <summary>What the prefix cache has saved, from the constructor's end on.</summary>
    public PrefixCounters Prefixes { get; private set; } = new();

    /// <summary>Steps that have run, for measurements.</summary>
    public EngineCounters Counters { get; } = new();

    public void ThrowIfStopped()
    {
        if (fault is { } error)
            throw error;
        ObjectDisposedException.ThrowIf(stopping, typeof(Engine));
    }

    /// <summary>Hands a request to the engine's thread, or refuses it where too many have not ended.</summary>
    public void Submit(IRequest request)
    {
        lock (gate)
        {
            ThrowIfStopped();
            if (!seats.TryTake())
                throw new EngineQueueFullException(Capacity.MaxSequences, Capacity.MaxQueuedRequests);
            request.Sit(seats);
            submitted.Enqueue(request);
        }

        work.Release();
    }

    /// <summary>Ends a request: its reader sees the error at once, its slot and pages are free before the next step.</summary>
    public void Cancel(IRequest request, Exception error)
    {
        request.Sequence.Cancel();
        request.Fail(error);
        work.Release();
    }

    /// <summary>Has the engine's thread do something with what the prefix cache holds, between two steps.</summary>
    public Task VisitPrefixesAsync(Action<PrefixArchive> visit)
    {
        var errand = new Errand(visit, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        lock (gate)
        {
            ThrowIfStopped();
            errands.Enqueue(errand);
        }

        work.Release();
        return errand.Done.Task;
    }

    public async ValueTask DisposeAsync()
    {
        stopping = true;
        work.Release();
        await ended.Task.ConfigureAwait(false);
    }

    private void Run()
    {
        Scheduler? scheduler = null;
        try
        {
            runner = new StepRunner(model, Capacity, runnerOptions);
            Capacity = runner.Capacity;
            scheduler = new Scheduler(runner);
            Prefixes = scheduler.Prefixes.Counters;
            started.SetResult();
            while (!stopping)
            {
                while (submitted.TryDequeue(out IRequest? request))
                    scheduler.Enqueue(request);
                while (errands.TryDequeue(out Errand? errand))
                    Do(errand, scheduler);
                scheduler.Update();
                long before = GC.GetAllocatedBytesForCurrentThread();
                if (scheduler.Step())
                    Counters.Add(GC.GetAllocatedBytesForCurrentThread() - before);
                else
                    work.Wait();
            }

            EndAll(scheduler, new ObjectDisposedException(nameof(Engine)));
        }
#pragma warning disable CA1031 // Whatever ends the thread must reach every reader.
        catch (Exception e)
#pragma warning restore CA1031
        {
            // Before the engine runs, its constructor says what went wrong.
            Exception error = scheduler is null ? e : new EngineStoppedException(model.DeviceName, e);
            fault = error;
            EndAll(scheduler, error);
            Log.EngineFault(logger, e);
        }
        finally
        {
            Free();
            started.TrySetResult();
            ended.SetResult();
        }
    }

    private void Do(Errand errand, Scheduler scheduler)
    {
        try
        {
            PrefixCache prefixes = scheduler.Prefixes;
            using var archive = new PrefixArchive(prefixes.Tree, prefixes.Store, scheduler.Live.Pages, runner!.State, model.Device);
            errand.Visit(archive);
            errand.Done.SetResult();
        }
#pragma warning disable CA1031 // Whatever it is, it is the visitor's own.
        catch (Exception e)
#pragma warning restore CA1031
        {
            errand.Done.SetException(e);
        }
    }

    // A device that has failed refuses to be waited for, too; what is to be said of it has been said.
    private void Free()
    {
        try
        {
            runner?.Dispose();
        }
#pragma warning disable CA1031 // An exception that leaves the thread ends the process.
        catch (Exception e)
#pragma warning restore CA1031
        {
            fault ??= new EngineStoppedException(model.DeviceName, e);
            Log.EngineFault(logger, e);
        }
    }

    private void EndAll(Scheduler? scheduler, Exception error)
    {
        foreach (IRequest request in scheduler?.All ?? [])
            request.Fail(error);
        lock (gate)
        {
            stopping = true;
            while (submitted.TryDequeue(out IRequest? request))
                request.Fail(error);
            while (errands.TryDequeue(out Errand? errand))
                errand.Done.SetException(error);
        }
    }

    private sealed record Errand(Action<PrefixArchive> Visit, TaskCompletionSource Done);
}

/// <summary>Places of requests that have not ended. A request takes one when it is submitted and gives it back when its stream ends.</summary>
internal sealed class EngineSeats(long count)
{
    private long free = count;

    public bool TryTake()
    {
        if (Interlocked.Decrement(ref free) >= 0)
            return true;
        Interlocked.Increment(ref free);
        return false;
    }

    public void Return() => Interlocked.Increment(ref free);
}

/// <summary>What the engine's thread has done so far.</summary>
internal sealed class EngineCounters
{
    private long steps;
    private long allocatedBytes;

    public long Steps => Interlocked.Read(ref steps);

    /// <summary>Managed bytes allocated on the engine's thread while stepping, ILGPU's own included.</summary>
    public long AllocatedBytes => Interlocked.Read(ref allocatedBytes);

    public void Add(long bytes)
    {
        Interlocked.Increment(ref steps);
        Interlocked.Add(ref allocatedBytes, bytes);
    }
}
