using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cuda.Tests;

/// <summary>What one decode step asks of the driver.</summary>
[NonParallelizable]
internal sealed class DecodeCallsTests : TinyModelTests
{
    [Test]
    public void StepIsThePlannedLaunchesInOrder()
    {
        using var sequence = new SteppedSequence(Model, graphs: false);
        sequence.Step();

        DriverCall[] calls = sequence.StepCalls();

        string[] planned = [.. sequence.DecodeGraph.Launches.ToArray().Select(l => l.Name)];
        string[] launched = [.. calls.Where(c => c.IsLaunch).Select(c => c.Name)];
        Assert.That(launched, Has.Length.EqualTo(planned.Length));
        Assert.That(launched.Zip(planned), Has.All.Matches<(string Launched, string Planned)>(p => p.Launched.Contains(p.Planned, StringComparison.Ordinal)));
        Assert.That(CallRules.BrokenInSteadyDecode(calls), Is.Empty);
    }

    [Test]
    public void CountsAreAsCommitted()
    {
        string text = LaunchTable.Of(Model);
        string file = Path.Combine(AppContext.BaseDirectory, "data", "launches.md");
        File.WriteAllText(Path.Combine(AppContext.BaseDirectory, "launches.md"), text);

        Assert.That(File.ReadAllText(file), Is.EqualTo(text), "bench/launches.md no longer says what a step launches; what it says now lies beside the tests");
    }

    [TestCase(false)]
    [TestCase(true)]
    public void SteadyStepsKeepTheRules(bool graphs)
    {
        using var sequence = new SteppedSequence(Model, graphs);
        for (int i = 0; i < 4; i++)
            sequence.Step();

        // The steps cross a page boundary at position 64.
        for (int i = 0; i < 80; i++)
        {
            DriverCall[] calls = sequence.StepCalls();
            Assert.That(CallRules.BrokenInSteadyDecode(calls), Is.Empty);
            Assert.That(calls.Count(c => c.Call == "cuEventSynchronize"), Is.EqualTo(1), "waits of the host");
            Assert.That(calls.Count(c => c.IsLaunch), Is.EqualTo(sequence.DecodeGraph.Launches.Length));
        }
    }

    [Test]
    public void ReplayedStepIsFourCalls()
    {
        using var sequence = new SteppedSequence(Model, graphs: true);
        for (int i = 0; i < 3; i++)
            sequence.Step();

        string[] calls = [.. sequence.StepCalls().Where(c => c.Origin != CallOrigin.Replayed).Select(c => c.Call)];

        // Nothing goes to the device: the step feeds on what the one before left there.
        string[] expected = ["cuGraphLaunch", "cuMemcpyDtoHAsync", "cuEventRecord", "cuEventSynchronize"];
        Assert.That(calls, Is.EqualTo(expected));
    }

    /// <summary>The stand-in's clock puts a millisecond between any two events.</summary>
    [Test]
    public void NodesAreTimedByEventsWithOneWait()
    {
        using var sequence = new SteppedSequence(Model, graphs: false);
        sequence.Step();
        StandIn.Clear();

        IReadOnlyList<NodeTime> times = TimedRunner.Run(sequence.DecodeGraph, Model.Device, runs: 3);

        Assert.That(times, Has.Count.EqualTo(sequence.DecodeGraph.Nodes.Count));
        Assert.That(times, Has.All.Matches<NodeTime>(t => t!.Microseconds == 1000));
        Assert.That(StandIn.Calls.Count(c => c.IsLaunch), Is.EqualTo(4 * sequence.DecodeGraph.Launches.Length));
        Assert.That(StandIn.Calls.Count(c => c.Call == "cuEventSynchronize"), Is.EqualTo(1), "waits of the host");
        Assert.That(StandIn.Calls.Count(c => c.Call == "cuEventCreate"), Is.EqualTo(StandIn.Calls.Count(c => c.Call == "cuEventDestroy")));
    }

    [TestCase(false, null)]
    [TestCase(true, null)]
    [TestCase(true, 5)]
    public void SteadyStepsAllocateNoManagedMemory(bool graphs, int? topLogProbs)
    {
        var sampling = new SamplingOptions { Temperature = 1, Seed = 3, PresencePenalty = 1, TopLogProbs = topLogProbs };
        using var sequence = new SteppedSequence(Model, graphs, sampling: sampling);
        for (int i = 0; i < 30; i++)
            sequence.Step();

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
            sequence.Step();

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero, "bytes in 100 steps");
    }

    [Test]
    public void LaunchOnTheNullStreamBreaksTheRules()
    {
        using var sequence = new SteppedSequence(Model, graphs: false);
        Launch planted = sequence.DecodeGraph.Launches[0];
        StandIn.Clear();

        sequence.Step();
        planted.Run(Model.Device.Accelerator.DefaultStream);

        string[] broken = CallRules.BrokenInSteadyDecode(StandIn.Calls);
        Assert.That(broken, Has.Length.EqualTo(1));
        Assert.That(broken[0], Does.StartWith("NULL stream: cuLaunchKernel").And.Contain(planted.Name));
    }

    [Test]
    public void DeviceWideWaitAndAllocationBreakTheRules()
    {
        StandIn.Clear();

        Model.Device.Accelerator.Synchronize();
        using (var memory = new DeviceMemory(Model.Device))
            memory.Allocate<int>(1);

        string[] broken = CallRules.BrokenInSteadyDecode(StandIn.Calls);
        Assert.That(broken, Has.Some.Contains("cuCtxSynchronize").And.Some.Contains("cuMemAlloc").And.Some.Contains("cuMemFree"));
    }
}
