using System.Diagnostics;
using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>A queue of work, which is done at once unless the stream is captured.</summary>
internal sealed class DriverStream
{
    private const int GlobalMode = 0;
    private const int ThreadMode = 1;

    // What the handles 0 (the default), 1 (that of the context) and 2 (that of the thread) mean.
    private static readonly DriverStream Default = new();

    private List<Action>? captured;
    private int captureMode;
    private int captureThread;
    private bool isBroken;

    public bool IsCapturing => captured is not null;

    public static DriverStream Of(nint handle) => handle is >= 0 and <= 2 ? Default : MachineDriver.Handles.Get<DriverStream>(handle);

    /// <summary>A call that is unsafe while some stream is captured in a mode that forbids it: the capture is lost.</summary>
    public static void ThrowIfCapturing()
    {
        DriverStream[] forbidding = [.. MachineDriver.Handles.OfKind<DriverStream>().Where(s => s.Forbids)];
        foreach (DriverStream stream in forbidding)
            stream.isBroken = true;
        DriverException.ThrowUnless(forbidding.Length == 0, DriverResult.StreamCaptureUnsupported);
    }

    public void Run(Action work)
    {
        if (captured is null)
            work();
        else
            captured.Add(work);
    }

    public void BeginCapture(int mode)
    {
        DriverException.ThrowUnless(this != Default, DriverResult.StreamCaptureUnsupported);
        DriverException.ThrowUnless(captured is null, DriverResult.IllegalState);
        (captured, captureMode, captureThread, isBroken) = ([], mode, Environment.CurrentManagedThreadId, false);
    }

    public DriverGraph EndCapture()
    {
        DriverException.ThrowUnless(captured is not null, DriverResult.IllegalState);
        Action[] nodes = [.. captured!];
        captured = null;
        DriverException.ThrowUnless(!isBroken, DriverResult.StreamCaptureInvalidated);
        return new DriverGraph(nodes);
    }

    /// <summary>Waiting for a stream under capture loses the capture.</summary>
    public void Synchronize()
    {
        isBroken = IsCapturing;
        DriverException.ThrowUnless(!IsCapturing, DriverResult.StreamCaptureUnsupported);
    }

    private bool Forbids => IsCapturing
        && (captureMode == GlobalMode || (captureMode == ThreadMode && captureThread == Environment.CurrentManagedThreadId));
}

/// <summary>A point in time; nothing is ever waited for.</summary>
internal sealed class DriverEvent
{
    /// <summary>Of <see cref="Stopwatch"/>; null before the first record.</summary>
    public long? Stamp { get; set; }
}

/// <summary>Streams and events.</summary>
internal static unsafe class StreamCalls
{
    // Clocks tick: what follows was later.
    private const float LeastMilliseconds = 1e-3f;

    private static DriverHandles Handles => MachineDriver.Handles;

    [UnmanagedCallersOnly(EntryPoint = "cuStreamCreate")]
    public static DriverResult Create(nint* stream, uint flags) => MachineDriver.CallBound(() => *stream = Handles.Add(new DriverStream()));

    [UnmanagedCallersOnly(EntryPoint = "cuStreamCreateWithPriority")]
    public static DriverResult CreateWithPriority(nint* stream, uint flags, int priority) =>
        MachineDriver.CallBound(() => *stream = Handles.Add(new DriverStream()));

    [UnmanagedCallersOnly(EntryPoint = "cuStreamDestroy_v2")]
    public static DriverResult Destroy(nint stream) => MachineDriver.CallBound(() => Handles.Remove<DriverStream>(stream));

    [UnmanagedCallersOnly(EntryPoint = "cuStreamSynchronize")]
    public static DriverResult Synchronize(nint stream) => MachineDriver.CallBound(() => DriverStream.Of(stream).Synchronize());

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWaitEvent")]
    public static DriverResult WaitEvent(nint stream, nint awaited, uint flags) => MachineDriver.CallBound(() =>
    {
        Handles.Get<DriverEvent>(awaited);
        DriverException.ThrowUnless(!DriverStream.Of(stream).IsCapturing, DriverResult.StreamCaptureUnsupported);
    });

    [UnmanagedCallersOnly(EntryPoint = "cuEventCreate")]
    public static DriverResult CreateEvent(nint* made, uint flags) => MachineDriver.CallBound(() => *made = Handles.Add(new DriverEvent()));

    [UnmanagedCallersOnly(EntryPoint = "cuEventDestroy_v2")]
    public static DriverResult DestroyEvent(nint destroyed) => MachineDriver.CallBound(() => Handles.Remove<DriverEvent>(destroyed));

    [UnmanagedCallersOnly(EntryPoint = "cuEventRecord")]
    public static DriverResult RecordEvent(nint recorded, nint stream) => MachineDriver.CallBound(() =>
    {
        DriverException.ThrowUnless(!DriverStream.Of(stream).IsCapturing, DriverResult.StreamCaptureUnsupported);
        Handles.Get<DriverEvent>(recorded).Stamp = Stopwatch.GetTimestamp();
    });

    [UnmanagedCallersOnly(EntryPoint = "cuEventQuery")]
    public static DriverResult QueryEvent(nint asked) => MachineDriver.CallBound(() => Handles.Get<DriverEvent>(asked));

    [UnmanagedCallersOnly(EntryPoint = "cuEventSynchronize")]
    public static DriverResult SynchronizeEvent(nint awaited) => MachineDriver.CallBound(() => Handles.Get<DriverEvent>(awaited));

    [UnmanagedCallersOnly(EntryPoint = "cuEventElapsedTime")]
    public static DriverResult ElapsedTime(float* milliseconds, nint start, nint end) => MachineDriver.CallBound(() =>
    {
        long? from = Handles.Get<DriverEvent>(start).Stamp;
        long? to = Handles.Get<DriverEvent>(end).Stamp;
        DriverException.ThrowUnless(from is not null && to is not null, DriverResult.InvalidHandle);
        *milliseconds = Math.Max((float)Stopwatch.GetElapsedTime(from!.Value, to!.Value).TotalMilliseconds, LeastMilliseconds);
    });
}
