namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>What is recorded of calls, and what is counted.</summary>
[NonParallelizable]
internal sealed unsafe class DriverRecordTests
{
    private nint context;
    private nint stream;

    [TearDown]
    public void Close() => Driver.Check(Driver.cuCtxDestroy(context));

    [Test]
    public void RecordsALaunch()
    {
        Open();
        nint function = Driver.Function(Driver.Adder, "Add");
        nint target = Driver.Upload(0);
        MachineDriver.ClearCalls();

        Driver.Check(Driver.LaunchAdder(function, target, 1, stream, groupThreads: 4, sharedBytes: 16));
        Driver.Check(Driver.LaunchAdder(function, target, 1, stream, groupThreads: 4, sharedBytes: 16));
        Driver.Check(Driver.LaunchAdder(function, target, 2, stream));
        Assert.That(Driver.LaunchAdder(function, target, 2, stream, groupThreads: 2000), Is.EqualTo(1));

        DriverCall[] calls = MachineDriver.Calls;
        Assert.That(calls.Select(c => c.Result), Is.EqualTo(new[] { 0, 0, 0, 1 }));
        Assert.That(calls[0], Is.EqualTo(new DriverCall
        {
            Call = "cuLaunchKernel", Name = "Add", Stream = stream, Bytes = 12, Hash = calls[0].Hash,
            Grid = (1, 1, 1), Block = (4, 1, 1), Shared = 16,
        }));
        Assert.That(calls[1].Identity, Is.EqualTo(calls[0].Identity));
        Assert.That(calls[2].Hash, Is.Not.EqualTo(calls[0].Hash), "another argument");
    }

    [Test]
    public void RecordsWhereALaunchComesFrom()
    {
        Open();
        nint function = Driver.Function(Driver.Adder, "Add");
        nint target = Driver.Upload(0);
        MachineDriver.ClearCalls();

        nint graph = Driver.Instantiate(Driver.Capture(stream, () => Driver.Check(Driver.LaunchAdder(function, target, 1, stream))));
        Driver.Check(Driver.cuGraphLaunch(graph, stream));
        Driver.Check(Driver.LaunchAdder(function, target, 1, stream));

        (string, CallOrigin, bool)[] calls = [.. MachineDriver.Calls.Select(c => (c.Call, c.Origin, c.Capturing))];
        Assert.That(calls, Is.EqualTo(new[]
        {
            ("cuStreamBeginCapture", CallOrigin.Direct, true), ("cuLaunchKernel", CallOrigin.Captured, true),
            ("cuStreamEndCapture", CallOrigin.Direct, false), ("cuGraphInstantiate", CallOrigin.Direct, false),
            ("cuGraphLaunch", CallOrigin.Direct, false), ("cuLaunchKernel", CallOrigin.Replayed, false),
            ("cuLaunchKernel", CallOrigin.Direct, false),
        }));
        Assert.That(MachineDriver.Calls.Where(c => c.IsLaunch).Select(c => c.Identity).Distinct().Count(), Is.EqualTo(1));
    }

    [Test]
    public void RecordsNothingUnlessAsked()
    {
        Open();
        MachineDriver.Options = MachineDriver.Options with { Records = false };
        MachineDriver.ClearCalls();

        Driver.Upload(1);

        Assert.That(MachineDriver.Calls, Is.Empty);
    }

    [TestCase(1, 0)]
    [TestCase(2, 1)]
    public void NotesASourceThatWasOverwrittenTooEarly(int then, int expected)
    {
        Open();
        nint target = Driver.Allocate(4);
        Driver.Check(Driver.cuMemAllocHost(out nint locked, 4));
        *(int*)locked = 1;
        Driver.Check(Driver.cuMemcpyHtoDAsync(target, locked, 4, stream));
        *(int*)locked = then;
        Driver.Check(Driver.cuStreamSynchronize(stream));

        Assert.That(MachineDriver.Calls.Count(c => c is { Call: "source overwritten before it was copied", Result: 700 }), Is.EqualTo(expected));
    }

    [Test]
    public void TellsPageableCopies()
    {
        Open();
        nint target = Driver.Upload(1);
        Driver.Check(Driver.cuMemAllocHost(out nint locked, 4));
        MachineDriver.ClearCalls();

        Driver.Check(Driver.cuMemcpyDtoHAsync(locked, target, 4, stream));
        Driver.Download(target, 1);

        Assert.That(MachineDriver.Calls.Select(c => (c.Call, c.Pageable, c.Bytes)), Is.EqualTo(new[]
        {
            ("cuMemcpyDtoHAsync", false, 4L), ("cuMemcpyDtoHAsync", true, 4L),
        }));
    }

    [Test]
    public void CountsWhatIsAlive()
    {
        Open();
        int[] before = Counts();

        (nint made, nint memory) = (Driver.NewEvent(), Driver.Allocate(4));
        nint forgotten = Driver.NewStream();
        nint graph = Driver.Instantiate(Driver.Capture(stream, () => Driver.Fill(memory, 0, stream)));
        Assert.That(Counts().Zip(before, (a, b) => a - b), Is.EqualTo(new[] { 0, 1, 1, 1, 1, 0, 1, 0 }));
        Driver.Check(Driver.cuEventDestroy(made));
        Driver.Check(Driver.cuGraphExecDestroy(graph));
        Driver.Check(Driver.cuMemFree(memory));
        Close();

        Assert.That(Counts().Zip(before, (a, b) => a - b), Is.EqualTo(new[] { -1, 1, 0, 1, 0, 0, 0, 0 }), "the context took along what was forgotten");
        Open();
        Assert.That(Driver.cuStreamSynchronize(forgotten), Is.EqualTo(400));
    }

    [Test]
    public void APlantedFaultMeetsEveryCallOfAContext()
    {
        Open();
        MachineDriver.Fault(700);
        try
        {
            Assert.That(Driver.cuStreamSynchronize(stream), Is.EqualTo(700));
            Assert.That(Driver.cuCtxSynchronize(), Is.EqualTo(700));
            Assert.That(Driver.cuMemFree(0), Is.EqualTo(700));
        }
        finally
        {
            MachineDriver.Fault(0);
        }

        Driver.Check(Driver.cuStreamSynchronize(stream));
    }

    [Test]
    public void KernelsDoNothingUnlessAsked()
    {
        Open();
        MachineDriver.Options = MachineDriver.Options with { RunsKernels = false };
        nint target = Driver.Upload(40);
        (nint start, nint end) = (Driver.NewEvent(), Driver.NewEvent());
        Driver.Check(Driver.cuEventRecord(start, stream));
        Driver.Check(Driver.LaunchAdder(Driver.Function(Driver.Adder, "Add"), target, 2, stream));
        Driver.Check(Driver.cuEventRecord(end, stream));

        Assert.That(Driver.cuEventElapsedTime(out _, start, end), Is.EqualTo(600), "not yet");
        Driver.Check(Driver.cuEventSynchronize(end));

        Assert.That(Driver.Peek(target), Is.EqualTo(40));
        Driver.Check(Driver.cuEventElapsedTime(out float milliseconds, start, end));
        Assert.That(milliseconds, Is.EqualTo(1));
    }

    private static int[] Counts() => [.. Enum.GetValues<HandleKind>().Select(MachineDriver.Live)];

    private void Open()
    {
        context = Driver.Open(Driver.Usual with { Order = WorkOrder.Late, Records = true });
        stream = Driver.NewStream();
    }
}
