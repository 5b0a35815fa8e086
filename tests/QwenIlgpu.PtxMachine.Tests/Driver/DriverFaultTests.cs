namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>Faults of work: where they are told, and that memory which is gone is one.</summary>
[NonParallelizable]
internal sealed class DriverFaultTests
{
    private nint context;
    private nint stream;
    private nint function;

    [TearDown]
    public void Close() => Driver.Check(Driver.cuCtxDestroy(context));

    [TestCase(2, 719, FaultKind.Misaligned)]
    [TestCase(4, 700, FaultKind.OutOfBounds)]
    public void AFaultIsToldByTheNextWaitAndEndsTheContext(int offset, int result, FaultKind kind)
    {
        Open(faultsStick: true);
        nint target = Driver.Allocate(4);

        Driver.Check(Driver.LaunchAdder(function, target + offset, 1, stream));
        Driver.Fill(target, 1, stream);

        Assert.That(Driver.cuStreamSynchronize(stream), Is.EqualTo(result));
        Assert.That(MachineDriver.LastFault!.Faults[0].Kind, Is.EqualTo(kind));
        Assert.That(MachineDriver.LastFailure!.Message, Does.Contain("in Add, line"));
        Assert.That(Driver.Peek(target), Is.EqualTo(-1), "what comes after it is not done");
        Assert.That(Driver.cuMemAlloc(out _, 4), Is.EqualTo(result));
        Assert.That(Driver.cuMemFree(target), Is.EqualTo(result));
        Assert.That(Driver.LaunchAdder(function, target, 1, stream), Is.EqualTo(result));
        Close();
        Open(faultsStick: true);
        Driver.Fill(Driver.Allocate(4), 1, stream);
        Driver.Check(Driver.cuStreamSynchronize(stream));
    }

    [Test]
    public void AQueryTellsAFaultToo()
    {
        Open(faultsStick: true, WorkOrder.Drawn);
        Driver.Check(Driver.LaunchAdder(function, Driver.Allocate(4) + 2, 1, stream));
        nint made = Driver.NewEvent();
        Driver.Check(Driver.cuEventRecord(made, stream));

        Assert.That(Driver.cuEventQuery(made), Is.EqualTo(719));
    }

    [Test]
    public void AFaultThatDoesNotStickIsToldOnce()
    {
        Open(faultsStick: false);
        nint target = Driver.Allocate(4);
        Driver.Check(Driver.LaunchAdder(function, target + 2, 1, stream));
        Driver.Fill(target, 1, stream);

        Assert.That(Driver.cuStreamSynchronize(stream), Is.EqualTo(719));
        Driver.Check(Driver.cuStreamSynchronize(stream));
        Assert.That(Driver.Peek(target), Is.EqualTo(0x01010101));
    }

    [TestCase(true)]
    [TestCase(false)]
    public void ALaunchOfFreedMemoryIsAFault(bool isFreed) => AssertFreed(isFreed, "its operand at byte 0 of the parameters", target =>
    {
        Free(target, isFreed);
        Driver.Check(Driver.LaunchAdder(function, target, 1, stream));
    });

    [TestCase(true)]
    [TestCase(false)]
    public void AGraphOfFreedMemoryIsAFault(bool isFreed) => AssertFreed(isFreed, "that was freed", target =>
    {
        nint graph = Driver.Instantiate(Driver.Capture(stream, () => Driver.Fill(target, 1, stream)));
        Free(target, isFreed);
        Driver.Check(Driver.cuGraphLaunch(graph, stream));
    });

    [TestCase(true)]
    [TestCase(false)]
    public void AGraphOfFreedHostMemoryIsAFault(bool isFreed) => AssertFreed(isFreed, "that was freed", target =>
    {
        Driver.Check(Driver.cuMemAllocHost(out nint locked, 4));
        nint graph = Driver.Instantiate(Driver.Capture(stream, () => Driver.Check(Driver.cuMemcpyHtoDAsync(target, locked, 4, stream))));
        if (isFreed)
            Driver.Check(Driver.cuMemFreeHost(locked));
        Driver.Check(Driver.cuGraphLaunch(graph, stream));
    });

    [TestCase(true)]
    [TestCase(false)]
    public void AGraphOfAnUnloadedModuleIsAFault(bool isFreed) => AssertFreed(isFreed, "its module was unloaded", target =>
    {
        Driver.Check(Driver.cuModuleLoadData(out nint module, Driver.Adder));
        Driver.Check(Driver.cuModuleGetFunction(out nint add, module, "Add"));
        nint graph = Driver.Instantiate(Driver.Capture(stream, () => Driver.Check(Driver.LaunchAdder(add, target, 1, stream))));
        if (isFreed)
            Driver.Check(Driver.cuModuleUnload(module));
        Driver.Check(Driver.cuGraphLaunch(graph, stream));
    });

    [Test]
    public void ACopyOfFreedMemoryIsRefused()
    {
        Open(faultsStick: true);
        nint target = Driver.Upload(1);
        Driver.Check(Driver.cuMemcpyAsync(Driver.Allocate(4), target, 4, stream));
        Driver.Check(Driver.cuMemFree(target));

        Assert.That(Driver.cuMemcpyAsync(Driver.Allocate(4), target, 4, stream), Is.EqualTo(1));
        Assert.That(MachineDriver.LastFailure!.Message, Does.Contain("in an allocation of 4 bytes").And.Contain("that was freed"));
    }

    private static void Free(nint target, bool isFreed)
    {
        if (isFreed)
            Driver.Check(Driver.cuMemFree(target));
    }

    private void AssertFreed(bool isFreed, string told, Action<nint> work)
    {
        Open(faultsStick: true);
        work(Driver.Upload(0));

        Assert.That(Driver.cuStreamSynchronize(stream), Is.EqualTo(isFreed ? 700 : 0));
        if (!isFreed)
            return;
        Assert.That(MachineDriver.LastFault!.Faults[0].Kind, Is.EqualTo(FaultKind.FreedMemory));
        Assert.That(MachineDriver.LastFault.Message, Does.Contain(told));
    }

    private void Open(bool faultsStick, WorkOrder order = WorkOrder.Late)
    {
        context = Driver.Open(Driver.Usual with { Order = order, FaultsStick = faultsStick });
        stream = Driver.NewStream();
        function = Driver.Function(Driver.Adder, "Add");
    }
}
