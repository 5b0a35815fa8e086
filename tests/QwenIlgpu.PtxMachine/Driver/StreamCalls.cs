using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>Streams.</summary>
internal static unsafe class StreamCalls
{
    private const uint NonBlocking = 1;

    private static DriverHandles Handles => MachineDriver.Handles;

    [UnmanagedCallersOnly(EntryPoint = "cuStreamCreate")]
    public static DriverResult Create(nint* stream, uint flags) => CreateStream(stream, flags);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamCreateWithPriority")]
    public static DriverResult CreateWithPriority(nint* stream, uint flags, int priority) => CreateStream(stream, flags);

    // What it was given still runs.
    [UnmanagedCallersOnly(EntryPoint = "cuStreamDestroy_v2")]
    public static DriverResult Destroy(nint stream) => MachineDriver.CallBound(
        new CallNote("cuStreamDestroy", stream), stream, static (handle, ref _) =>
        {
            if (Handles.Remove<DriverStream>(handle).Capture is { } capture)
                capture.IsBroken = true;
        });

    [UnmanagedCallersOnly(EntryPoint = "cuStreamSynchronize")]
    public static DriverResult Synchronize(nint stream) => MachineDriver.CallBound(
        new CallNote("cuStreamSynchronize", stream), stream, static (handle, ref _) =>
        {
            DriverStream awaited = DriverStream.Of(handle);
            awaited.Synchronize();
        });

    [UnmanagedCallersOnly(EntryPoint = "cuStreamQuery")]
    public static DriverResult Query(nint stream) => MachineDriver.CallBound(
        new CallNote("cuStreamQuery", stream), stream, static (handle, ref n) =>
        {
            DriverStream asked = DriverStream.Of(handle);
            if (asked.Capture is { } capture)
            {
                capture.IsBroken = true;
                throw new DriverException(DriverResult.StreamCaptureUnsupported);
            }

            MachineDriver.Schedule.RunSome(least: 1);
            asked.Context.ThrowFailure();
            n.Result = asked.Done < asked.Given ? DriverResult.NotReady : DriverResult.Success;
        });

    [UnmanagedCallersOnly(EntryPoint = "cuStreamWaitEvent")]
    public static DriverResult WaitEvent(nint stream, nint awaited, uint flags) => MachineDriver.CallBound(
        new CallNote("cuStreamWaitEvent", stream, awaited), (stream, awaited), static (a, ref _) =>
        {
            DriverEvent awaited = Handles.Get<DriverEvent>(a.awaited);
            DriverStream waiting = DriverStream.ForWork(a.stream);
            if (awaited.Capture is not null || waiting.Capture is not null)
            {
                awaited.Join(waiting);
            }
            else if (awaited.Stream is { } recorded)
            {
                QueuedWork work = MachineDriver.Schedule.Take(WorkKind.Wait);
                (work.Awaited, work.AwaitedNumber) = (recorded, awaited.Number);
                MachineDriver.Schedule.Give(waiting, work);
            }
        });

    private static DriverResult CreateStream(nint* stream, uint flags) => MachineDriver.CallBound(
        new CallNote("cuStreamCreate"), ((nint)stream, isBlocking: (flags & NonBlocking) == 0), static (a, ref n) =>
        {
            var made = new DriverStream(DriverContext.Bound, a.isBlocking);
            n.Stream = *(nint*)a.Item1 = made.Handle = Handles.Add(made);
        });
}
