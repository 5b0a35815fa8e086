using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>The work that a stream was given while it was captured.</summary>
internal sealed record DriverGraph(IReadOnlyList<Action> Nodes);

/// <summary>A graph that can be launched.</summary>
internal sealed record DriverExecutable(IReadOnlyList<Action> Nodes);

/// <summary>Capture of streams, and replay.</summary>
internal static unsafe class GraphCalls
{
    private static DriverHandles Handles => MachineDriver.Handles;

    [UnmanagedCallersOnly(EntryPoint = "cuStreamBeginCapture_v2")]
    public static DriverResult BeginCapture(nint stream, int mode) =>
        MachineDriver.CallBound(() => DriverStream.Of(stream).BeginCapture(mode));

    [UnmanagedCallersOnly(EntryPoint = "cuStreamEndCapture")]
    public static DriverResult EndCapture(nint stream, nint* graph)
    {
        *graph = 0;
        return MachineDriver.CallBound(() => *graph = Handles.Add(DriverStream.Of(stream).EndCapture()));
    }

    [UnmanagedCallersOnly(EntryPoint = "cuGraphInstantiateWithFlags")]
    public static DriverResult Instantiate(nint* executable, nint graph, ulong flags) =>
        MachineDriver.CallBound(() => *executable = Handles.Add(new DriverExecutable(Handles.Get<DriverGraph>(graph).Nodes)));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphLaunch")]
    public static DriverResult Launch(nint executable, nint stream) => MachineDriver.CallBound(() =>
    {
        DriverExecutable graph = Handles.Get<DriverExecutable>(executable);
        DriverException.ThrowUnless(!DriverStream.Of(stream).IsCapturing, DriverResult.StreamCaptureUnsupported);
        foreach (Action node in graph.Nodes)
            node();
    });

    [UnmanagedCallersOnly(EntryPoint = "cuGraphDestroy")]
    public static DriverResult Destroy(nint graph) => MachineDriver.CallBound(() => Handles.Remove<DriverGraph>(graph));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphExecDestroy")]
    public static DriverResult DestroyExecutable(nint executable) =>
        MachineDriver.CallBound(() => Handles.Remove<DriverExecutable>(executable));
}
