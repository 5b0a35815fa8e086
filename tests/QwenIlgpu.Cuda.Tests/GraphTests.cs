using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Cuda.Tests;

/// <summary>Capture and replay of decode steps.</summary>
[NonParallelizable]
internal sealed class GraphTests : TinyModelTests
{
    [Test]
    public void CapturedStepsLaunchWhatPlainStepsDo()
    {
        using var sequence = new SteppedSequence(Model, graphs: true);
        DriverCall[] plain = sequence.StepCalls();
        DriverCall[] capture = sequence.StepCalls();
        DriverCall[][] replays = [.. Enumerable.Range(0, 3).Select(_ => sequence.StepCalls())];

        var identities = plain.Where(c => c.IsLaunch).Select(c => c.Identity).ToArray();
        Assert.That(identities, Has.Length.EqualTo(sequence.DecodeGraph.Launches.Length));
        Assert.That(plain.Where(c => c.IsLaunch).Select(c => c.Origin), Is.All.EqualTo(CallOrigin.Direct));
        Assert.That(Launches(capture, CallOrigin.Captured), Is.EqualTo(identities));
        foreach (DriverCall[] replay in replays.Prepend(capture))
            Assert.That(Launches(replay, CallOrigin.Replayed), Is.EqualTo(identities));

        // Three consecutive steps: what differs between them lies in device memory, written there by the step before.
        Assert.That(replays, Has.All.Matches<DriverCall[]>(r => !r!.Any(c => c.Call == "cuMemcpyHtoDAsync")));
    }

    [Test]
    public void ReplayedStepsUploadAndReadBackAsPlainStepsDo()
    {
        using var replayed = new SteppedSequence(Model, graphs: true);
        using var plain = new SteppedSequence(Model, graphs: false);

        for (int step = 0; step < 6; step++)
        {
            DriverCall[] a = replayed.StepCalls();
            DriverCall[] b = plain.StepCalls();
            Assert.That(Copies(a), Is.EqualTo(Copies(b)), $"step {step}");
        }

        static (string, long, ulong)[] Copies(DriverCall[] calls) =>
            [.. calls.Where(c => c.Call.StartsWith("cuMemcpy", StringComparison.Ordinal)).Select(c => (c.Call, c.Bytes, c.Hash))];
    }

    [Test]
    public void CaptureHappensOnceAShapeAndKeepsTheRules()
    {
        using var sequence = new SteppedSequence(Model, graphs: true);
        StandIn.Clear();

        for (int i = 0; i < 20; i++)
            sequence.Step();

        DriverCall[] calls = StandIn.Calls;
        Assert.That(calls.Count(c => c.Call == "cuStreamBeginCapture"), Is.EqualTo(1));
        Assert.That(calls.Count(c => c.Call == "cuGraphLaunch"), Is.EqualTo(19));
        Assert.That(CallRules.BrokenInCapture(calls), Is.Empty);
        Assert.That(calls.Single(c => c.Call == "cuGraphInstantiate").Bytes, Is.EqualTo(sequence.DecodeGraph.Launches.Length));
    }

    /// <summary>What a launch that was cut short has left of its tickets does not outlive the graphs of its time.</summary>
    [Test]
    public void RecordingAGraphZeroesTheTickets()
    {
        using var sequence = new SteppedSequence(Model, graphs: true);
        StandIn.Clear();

        sequence.Runner.GraphOf(StepShape.Decode(2));
        DriverCall[] recorded = [.. StandIn.Calls.Where(c => c.Call == "cuMemsetD8Async")];
        sequence.Runner.GraphOf(StepShape.Decode(2));

        Assert.That(recorded, Has.Length.EqualTo(1));
        Assert.That(recorded[0].Stream, Is.EqualTo(((CudaStream)Model.Device.Stream).StreamPtr), "behind the launches that drew them");
        Assert.That(recorded[0].Bytes, Is.GreaterThanOrEqualTo(sizeof(int) * Kernels.DecodePlan.MaxTickets));
        Assert.That(StandIn.Calls.Count(c => c.Call == "cuMemsetD8Async"), Is.EqualTo(1), "a graph that is known is not recorded again");
    }

    [Test]
    public void NothingIsCapturedWhenGraphsAreOff()
    {
        using var sequence = new SteppedSequence(Model, graphs: false);
        StandIn.Clear();

        for (int i = 0; i < 5; i++)
            sequence.Step();

        Assert.That(StandIn.Calls.Select(c => c.Call), Has.None.Contains("Capture").And.None.Contains("Graph"));
    }

    [Test]
    public void LaunchOnTheNullStreamDuringACaptureBreaksTheRules()
    {
        OpGraph graph = Planted(out DeviceMemory memory);
        using (memory)
        using (var runner = new CudaGraphRunner(graph, Model.Device))
        {
            runner.Run();
            StandIn.Clear();
            runner.Run();
        }

        string[] broken = CallRules.BrokenInCapture(StandIn.Calls);
        Assert.That(broken, Has.Some.StartsWith("NULL stream: cuLaunchKernel").And.Some.StartsWith("outside the graph"));
    }

    [Test]
    public void CaptureLeavesOutWhatOthersQueueOnTheComputeStream()
    {
        OpGraph graph = Planted(out DeviceMemory memory, (launch, _) => launch.Run(Model.Device.Stream));
        using (memory)
        using (var runner = new CudaGraphRunner(graph, Model.Device))
        {
            runner.Run();
            StandIn.Clear();
            runner.Run();
        }

        Assert.That(StandIn.Calls.Single(c => c.Call == "cuGraphInstantiate").Bytes, Is.EqualTo(1), "kernels in the graph");
        Assert.That(StandIn.Calls.Count(c => c is { IsLaunch: true, Origin: CallOrigin.Direct }), Is.EqualTo(1), "the launch of another engine");
    }

    [Test]
    public void WaitDuringACaptureFailsAndLeavesTheStreamUsable()
    {
        OpGraph graph = Planted(out DeviceMemory memory, (_, stream) => stream.Synchronize());
        using (memory)
        using (var runner = new CudaGraphRunner(graph, Model.Device))
        {
            runner.Run();
            Assert.That(runner.Run, Throws.Exception);
        }

        Assert.That(Model.Device.Synchronize, Throws.Nothing);
        Assert.That(StandIn.Live(HandleKind.Graph), Is.Zero);
    }

    private static object[] Launches(DriverCall[] calls, CallOrigin origin) =>
        [.. calls.Where(c => c.IsLaunch && c.Origin == origin).Select(c => (object)c.Identity)];

    // A graph of one good launch and one that does what a capture must not see; by default, a launch on the NULL stream.
    private OpGraph Planted(out DeviceMemory memory, Action<Kernels.Launch, ILGPU.Runtime.AcceleratorStream>? misdeed = null)
    {
        ComputeDevice device = Model.Device;
        memory = new DeviceMemory(device);
        var x = new Kernels.Matrix<float>(memory.AllocateZeroed<float>(8), 2, 4);
        ILGPU.ArrayView<float> weight = memory.AllocateZeroed<float>(4);
        var graph = new OpGraph("planted");
        Tensor y = graph.NewTensor("y", 2, 4);
        graph.Add("norm", [], [y], 0, () =>
        {
            Kernels.Launch good = Kernels.RmsNorm.Bind(device.Loader, x, weight, y.View, 1e-6f);
            misdeed ??= (launch, _) => launch.Run(device.Accelerator.DefaultStream);
            return [good, new Kernels.Launch("planted", 1, stream => misdeed(good, stream))];
        });
        graph.Plan();
        graph.Bind(memory.Allocate<byte>(graph.ArenaBytes));
        device.Synchronize();
        return graph;
    }
}
