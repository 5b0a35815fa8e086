using System.Diagnostics;
using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>A point in a stream: the end of what it had been given when the event was recorded last.</summary>
internal sealed class DriverEvent(DriverContext context, bool isTimed) : IDriverObject
{
    private int[] ends = [];

    public HandleKind Kind => HandleKind.Event;

    public DriverContext Context { get; } = context;

    public bool IsTimed { get; } = isTimed;

    /// <summary>Where it was recorded; null: nowhere, so that nobody waits for it.</summary>
    public DriverStream? Stream { get; private set; }

    /// <summary>Number of the stream's work that records it.</summary>
    public long Number { get; private set; }

    /// <summary>The capture that it was recorded in; null: none.</summary>
    public DriverCapture? Capture { get; private set; }

    /// <summary>When it was reached, of <see cref="Stopwatch"/>.</summary>
    public long Stamp { get; private set; }

    public bool IsReached => Stream is null || Stream.Done >= Number;

    public void Record(DriverStream stream)
    {
        Capture = stream.Capture;
        if (Capture is not null)
        {
            ends = [.. stream.Ends];
            return;
        }

        QueuedWork work = MachineDriver.Schedule.Take(WorkKind.Record);
        work.Event = this;
        (Stream, Number) = (stream, stream.Given + 1);
        MachineDriver.Schedule.Give(stream, work);
    }

    /// <summary>A record of the event is done; the last one counts.</summary>
    public void Reach(long number)
    {
        if (number == Number)
            Stamp = Stopwatch.GetTimestamp();
    }

    /// <summary>A stream waits for the event, one of them captured: the stream becomes part of the event's capture.</summary>
    /// <exception cref="DriverException">They are of two captures, or only the stream is captured, or the event's capture has ended.</exception>
    public void Join(DriverStream waiting)
    {
        DriverResult result = (Capture, waiting.Capture) switch
        {
            ({ IsOpen: true }, null) =>
                waiting == waiting.Context.NullStream ? DriverResult.StreamCaptureImplicit : DriverResult.Success,
            ({ IsOpen: true } mine, { } theirs) => mine == theirs ? DriverResult.Success : DriverResult.StreamCaptureMerge,
            (not null, _) => DriverResult.CapturedEvent,
            _ => Stream is null ? DriverResult.NotReady : DriverResult.StreamCaptureIsolation,
        };
        if (result == DriverResult.NotReady)
            return;
        if (result == DriverResult.Success)
        {
            Capture!.Join(waiting, ends);
            return;
        }

        foreach (DriverCapture? lost in new[] { Capture, waiting.Capture })
            _ = lost?.IsBroken = true;
        throw new DriverException(result);
    }

    /// <exception cref="DriverException">It stands for no work, but for a node of a graph.</exception>
    public void ThrowIfCaptured()
    {
        if (Capture is null)
            return;
        Capture.IsBroken = true;
        throw new DriverException(DriverResult.CapturedEvent);
    }
}

/// <summary>Events.</summary>
internal static unsafe class EventCalls
{
    private const uint DisableTiming = 2;

    // Clocks tick: what follows was later.
    private const float LeastMilliseconds = 1e-3f;

    private static DriverHandles Handles => MachineDriver.Handles;

    [UnmanagedCallersOnly(EntryPoint = "cuEventCreate")]
    public static DriverResult Create(nint* made, uint flags) => MachineDriver.CallBound(
        new CallNote("cuEventCreate"), ((nint)made, isTimed: (flags & DisableTiming) == 0), static (a, ref n) =>
            n.Object = *(nint*)a.Item1 = Handles.Add(new DriverEvent(DriverContext.Bound, a.isTimed)));

    [UnmanagedCallersOnly(EntryPoint = "cuEventDestroy_v2")]
    public static DriverResult Destroy(nint destroyed) => MachineDriver.CallBound(
        new CallNote("cuEventDestroy", 0, destroyed), destroyed, static (handle, ref _) => Handles.Remove<DriverEvent>(handle));

    [UnmanagedCallersOnly(EntryPoint = "cuEventRecord")]
    public static DriverResult Record(nint recorded, nint stream) => MachineDriver.CallBound(
        new CallNote("cuEventRecord", stream, recorded), (recorded, stream), static (a, ref _) =>
        {
            DriverEvent recorded = Handles.Get<DriverEvent>(a.recorded);
            recorded.Record(DriverStream.ForWork(a.stream));
        });

    [UnmanagedCallersOnly(EntryPoint = "cuEventQuery")]
    public static DriverResult Query(nint asked) => MachineDriver.CallBound(
        new CallNote("cuEventQuery", 0, asked), asked, static (handle, ref n) =>
        {
            DriverEvent asked = Handles.Get<DriverEvent>(handle);
            asked.ThrowIfCaptured();
            if (!asked.IsReached)
                MachineDriver.Schedule.RunSome(least: 1);
            asked.Context.ThrowFailure();
            n.Result = asked.IsReached ? DriverResult.Success : DriverResult.NotReady;
        });

    [UnmanagedCallersOnly(EntryPoint = "cuEventSynchronize")]
    public static DriverResult Synchronize(nint awaited) => MachineDriver.CallBound(
        new CallNote("cuEventSynchronize", 0, awaited), awaited, static (handle, ref n) =>
        {
            DriverEvent awaited = Handles.Get<DriverEvent>(handle);
            awaited.ThrowIfCaptured();
            if (awaited.Stream is not { } stream)
                return;
            n.Stream = stream.Handle;
            MachineDriver.Schedule.RunTo(stream, awaited.Number);
            stream.Context.ThrowFailure();
        });

    [UnmanagedCallersOnly(EntryPoint = "cuEventElapsedTime")]
    public static DriverResult ElapsedTime(float* milliseconds, nint start, nint end) => MachineDriver.CallBound(
        default, ((nint)milliseconds, start, end), static (a, ref n) =>
        {
            DriverEvent from = Handles.Get<DriverEvent>(a.start);
            DriverEvent to = Handles.Get<DriverEvent>(a.end);
            bool areTimed = from is { IsTimed: true, Stream: not null } && to is { IsTimed: true, Stream: not null };
            DriverException.ThrowUnless(areTimed, DriverResult.InvalidHandle);
            if (!from.IsReached || !to.IsReached)
            {
                n.Result = DriverResult.NotReady;
                return;
            }

            double passed = MachineDriver.Options.RunsKernels ? Stopwatch.GetElapsedTime(from.Stamp, to.Stamp).TotalMilliseconds : 1;
            *(float*)a.Item1 = Math.Max((float)passed, LeastMilliseconds);
        });
}
