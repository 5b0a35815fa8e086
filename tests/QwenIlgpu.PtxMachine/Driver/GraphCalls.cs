using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>Capture of streams, graphs, and replay.</summary>
internal static unsafe class GraphCalls
{
    private static DriverHandles Handles => MachineDriver.Handles;

    [UnmanagedCallersOnly(EntryPoint = "cuStreamBeginCapture_v2")]
    public static DriverResult BeginCapture(nint stream, int mode) => MachineDriver.CallBound(
        new CallNote("cuStreamBeginCapture", stream),
        (stream, mode),
        static (a, ref _) => DriverCapture.Begin(DriverStream.Of(a.stream), a.mode));

    [UnmanagedCallersOnly(EntryPoint = "cuStreamEndCapture")]
    public static DriverResult EndCapture(nint stream, nint* graph)
    {
        *graph = 0;
        return MachineDriver.CallBound(new CallNote("cuStreamEndCapture", stream), (stream, (nint)graph), static (a, ref n) =>
        {
            DriverStream ended = DriverStream.Of(a.stream);
            DriverException.ThrowUnless(ended.Capture is not null, DriverResult.IllegalState);
            DriverGraph captured = ended.Capture!.End(ended);
            n.Object = *(nint*)a.Item2 = Handles.Add(captured);
            n.Bytes = captured.Kernels;
        });
    }

    // 0: none, 1: active, 2: lost.
    [UnmanagedCallersOnly(EntryPoint = "cuStreamIsCapturing")]
    public static DriverResult IsCapturing(nint stream, int* status) => MachineDriver.CallBound(
        default,
        (stream, (nint)status),
        static (a, ref _) => *(int*)a.Item2 = DriverStream.Of(a.stream).Capture switch { null => 0, { IsBroken: false } => 1, _ => 2 });

    [UnmanagedCallersOnly(EntryPoint = "cuGraphInstantiateWithFlags")]
    public static DriverResult Instantiate(nint* executable, nint graph, ulong flags) =>
        MachineDriver.CallBound(new CallNote("cuGraphInstantiate"), ((nint)executable, graph), static (a, ref n) =>
        {
            DriverGraph source = Handles.Get<DriverGraph>(a.graph);
            n.Object = *(nint*)a.Item1 = Handles.Add(new DriverExecutable(source));
            n.Bytes = source.Kernels;
        });

    // Every kernel of the graph is recorded again, as replayed.
    [UnmanagedCallersOnly(EntryPoint = "cuGraphLaunch")]
    public static DriverResult Launch(nint executable, nint stream) =>
        MachineDriver.CallBound(new CallNote("cuGraphLaunch", stream, executable), (executable, stream), static (a, ref n) =>
        {
            DriverExecutable graph = Handles.Get<DriverExecutable>(a.executable);
            DriverStream on = DriverStream.ForWork(a.stream);
            DriverException.ThrowUnless(on.Capture is null, DriverResult.StreamCaptureUnsupported);
            if (MachineDriver.Options.Records)
                Note(graph, ref n);

            QueuedWork work = MachineDriver.Schedule.Take(WorkKind.Graph);
            (work.Executable, work.Nodes) = (graph, graph.Nodes);
            (work.Awaited, work.AwaitedNumber) = (graph.LastStream, graph.LastNumber);
            (graph.LastStream, graph.LastNumber) = (on, on.Given + 1);
            MachineDriver.Schedule.Give(on, work);
        });

    [UnmanagedCallersOnly(EntryPoint = "cuGraphDestroy")]
    public static DriverResult Destroy(nint graph) =>
        MachineDriver.CallBound(new CallNote("cuGraphDestroy", 0, graph), graph, static (handle, ref _) =>
        {
            foreach (nint node in Handles.Remove<DriverGraph>(handle).Handles ?? [])
                Handles.Remove<DriverNode>(node);
        });

    [UnmanagedCallersOnly(EntryPoint = "cuGraphExecDestroy")]
    public static DriverResult DestroyExecutable(nint executable) => MachineDriver.CallBound(
        new CallNote("cuGraphExecDestroy", 0, executable), executable, static (handle, ref _) => Handles.Remove<DriverExecutable>(handle));

    [UnmanagedCallersOnly(EntryPoint = "cuGraphGetNodes")]
    public static DriverResult GetNodes(nint graph, nint* nodes, nint* count) =>
        MachineDriver.CallBound(default, (graph, (nint)nodes, (nint)count), static (a, ref _) =>
        {
            DriverGraph of = Handles.Get<DriverGraph>(a.graph);
            of.Handles ??= [.. Enumerable.Range(0, of.Nodes.Count).Select(i => Handles.Add(new DriverNode(of, i)))];
            if (a.Item2 != 0)
                of.Handles.CopyTo(new Span<nint>((void*)a.Item2, (int)*(nint*)a.Item3));
            *(nint*)a.Item3 = of.Handles.Length;
        });

    [UnmanagedCallersOnly(EntryPoint = "cuGraphExecUpdate_v2")]
    public static DriverResult Update(nint executable, nint graph, UpdateResult* answer) => MachineDriver.CallBound(
        new CallNote("cuGraphExecUpdate", 0, executable), (executable, graph, (nint)answer), static (a, ref _) =>
        {
            var told = (UpdateResult*)a.Item3;
            *told = default;
            told->Reason = Handles.Get<DriverExecutable>(a.executable).Update(Handles.Get<DriverGraph>(a.graph));
            DriverException.ThrowUnless(told->Reason == 0, DriverResult.GraphExecUpdateFailure);
        });

    [UnmanagedCallersOnly(EntryPoint = "cuGraphExecKernelNodeSetParams_v2")]
    public static DriverResult SetParameters(nint executable, nint node, NodeParameters* parameters) => MachineDriver.CallBound(
        new CallNote("cuGraphExecKernelNodeSetParams", 0, executable), (executable, node, (nint)parameters), static (a, ref _) =>
        {
            var given = (NodeParameters*)a.Item3;
            DriverExecutable changed = Handles.Get<DriverExecutable>(a.executable);
            DriverNode of = Handles.Get<DriverNode>(a.node);
            DriverException.ThrowUnless(of.Graph == changed.Graph && changed.Nodes[of.Index].IsKernel, DriverResult.InvalidValue);
            DriverFunction function = Handles.Get<DriverFunction>(given->Function);
            DriverException.ThrowUnless(given->Parameters is null, DriverResult.NotSupported);
            var task = new DriverTask();
            task.SetKernel(function, given->Shape, LaunchCalls.Checked(function, given->Shape, given->Extra));
            changed.Update(of.Index, task);
        });

    private static void Note(DriverExecutable graph, ref CallNote note)
    {
        note.Bytes = graph.Graph.Kernels;
        MachineDriver.Note(note);
        for (int i = 0; i < graph.Nodes.Count; i++)
        {
            GraphNode node = graph.Nodes[i];
            if (!node.IsKernel)
                continue;
            MachineDriver.Note(
                new CallNote("cuLaunchKernel", note.Stream, 0, node.Task.Parameters.Length)
                {
                    Kernel = node.Task.Function!.Kernel.Name,
                    Hash = node.Hash,
                    Shape = node.Task.Shape,
                    Origin = CallOrigin.Replayed,
                });
        }

        note.Call = null;
    }

    /// <summary>CUgraphExecUpdateResultInfo.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct UpdateResult
    {
        public int Reason;
        public nint Node;
        public nint FromNode;
    }

    /// <summary>CUDA_KERNEL_NODE_PARAMS_v2.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public readonly struct NodeParameters
    {
        public readonly nint Function;
        public readonly GridShape Shape;
        public readonly nint* Parameters;
        public readonly nint* Extra;
        public readonly nint Kernel;
        public readonly nint Context;
    }
}
