namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>When work that streams were given runs, and what orders it.</summary>
[NonParallelizable]
internal sealed unsafe class DriverOrderTests
{
    private const int Seeds = 24;

    private nint context;

    [TearDown]
    public void Close() => Driver.Check(Driver.cuCtxDestroy(context));

    [TestCase(WorkOrder.AtOnce, 42)]
    [TestCase(WorkOrder.Drawn, 40)]
    [TestCase(WorkOrder.Late, 40)]
    public void WorkRunsWhereACallWaits(WorkOrder order, int before)
    {
        Open(order);
        nint target = Driver.Upload(40);
        nint stream = Driver.NewStream();

        Driver.Check(Driver.LaunchAdder(Driver.Function(Driver.Adder, "Add"), target, 2, stream));

        Assert.That(Driver.Peek(target), Is.EqualTo(before));
        Driver.Check(Driver.cuStreamSynchronize(stream));
        Assert.That(Driver.Peek(target), Is.EqualTo(42));
    }

    [Test]
    public void PageLockedMemoryIsReadWhenItsCopyRuns()
    {
        Open(WorkOrder.Late);
        nint target = Driver.Allocate(4);
        Driver.Check(Driver.cuMemAllocHost(out nint locked, 4));
        *(int*)locked = 1;

        Driver.Check(Driver.cuMemcpyHtoDAsync(target, locked, 4, 0));
        *(int*)locked = 2;

        Assert.That(Driver.Download(target, 1), Is.EqualTo(new[] { 2 }));
    }

    [Test]
    public void OtherMemoryIsReadWhenItsCopyIsGiven()
    {
        Open(WorkOrder.Late);
        nint target = Driver.Allocate(4);
        int value = 1;

        Driver.Check(Driver.cuMemcpyHtoDAsync(target, (nint)(&value), 4, 0));
        value = 2;

        Assert.That(Driver.Peek(target), Is.EqualTo(-1), "the copy itself is late");
        Assert.That(Driver.Download(target, 1), Is.EqualTo(new[] { 1 }), "to memory that is not page-locked, a copy is done when it returns");
    }

    [Test]
    public void AStreamKeepsItsOrder() => Assert.That(
        Outcomes((address, first, _) =>
        {
            Driver.Fill(address, 3, first);
            Driver.Fill(address, 1, first);
            return first;
        }),
        Is.All.EqualTo(0x01010101));

    [Test]
    public void StreamsThatNothingOrdersRunInAnyOrder()
    {
        int[] outcomes = Outcomes(FillTwice);

        Assert.That(outcomes, Has.Member(0x01010101).And.Member(0x02020202));
        Assert.That(Outcomes(FillTwice), Is.EqualTo(outcomes), "of one seed always the same");

        static nint FillTwice(nint address, nint first, nint second)
        {
            Driver.Fill(address, 1, first);
            Driver.Fill(address, 2, second);
            return 0;
        }
    }

    [Test]
    public void AnEventOrdersStreams() => Assert.That(
        Outcomes((address, first, second) =>
        {
            Driver.Fill(address, 1, first);
            Driver.Check(Driver.Order(first, second));
            Driver.Fill(address, 2, second);
            return second;
        }),
        Is.All.EqualTo(0x02020202));

    [TestCase(false, true)]
    [TestCase(true, false)]
    public void WhatNobodyWaitsForMayHaveRunOrNot(bool isLate, bool mayHave)
    {
        int[] outcomes = Outcomes(
            (address, first, second) =>
            {
                nint awaited = Driver.Allocate(4);
                Driver.Fill(address, 1, first);
                Driver.Fill(awaited, 1, second);
                return second;
            },
            isLate ? WorkOrder.Late : WorkOrder.Drawn);

        Assert.That(outcomes.Contains(0x01010101), Is.EqualTo(mayHave));
        Assert.That(outcomes, Has.Member(-1), "not yet");
    }

    [Test]
    public void AnAwaitedEventIsThatOfItsTime()
    {
        Open(WorkOrder.Late);
        nint early = Driver.Allocate(4);
        nint late = Driver.Allocate(4);
        (nint first, nint second, nint made) = (Driver.NewStream(), Driver.NewStream(), Driver.NewEvent());
        Driver.Fill(early, 1, first);
        Driver.Check(Driver.cuEventRecord(made, first));
        Driver.Check(Driver.cuStreamWaitEvent(second, made, 0));
        Driver.Fill(late, 1, first);
        Driver.Check(Driver.cuEventRecord(made, first));

        Driver.Check(Driver.cuStreamSynchronize(second));
        Assert.That((Driver.Peek(early), Driver.Peek(late)), Is.EqualTo((0x01010101, -1)));
        Assert.That(Driver.cuEventQuery(made), Is.EqualTo(600), "recorded anew");
        Driver.Check(Driver.cuEventSynchronize(made));
        Assert.That(Driver.Peek(late), Is.EqualTo(0x01010101));
    }

    [TestCase(WorkOrder.Drawn, 0)]
    [TestCase(WorkOrder.Late, 600)]
    public void QueriesBringWorkOnWhereTheSeedDecides(WorkOrder order, int last)
    {
        Open(order);
        (nint stream, nint made, nint target) = (Driver.NewStream(), Driver.NewEvent(), Driver.Allocate(4));
        for (int i = 0; i < 8; i++)
            Driver.Fill(target, 1, stream);
        Driver.Check(Driver.cuEventRecord(made, stream));

        int[] answers = [.. Enumerable.Range(0, 12).Select(_ => Driver.cuEventQuery(made))];

        Assert.That(answers[0], Is.EqualTo(600));
        Assert.That(answers[^1], Is.EqualTo(last));
        Assert.That(Driver.cuStreamQuery(stream), Is.EqualTo(last));
    }

    /// <summary>Of streams that were made to wait for it, and those alone.</summary>
    [TestCase(true, true, true)]
    [TestCase(true, false, true)]
    [TestCase(false, true, false)]
    [TestCase(false, false, false)]
    public void TheNullStreamIsOrderedAgainstBlockingStreams(bool isBlocking, bool nullFirst, bool isOrdered)
    {
        int[] outcomes = Outcomes((address, _, _) =>
        {
            nint other = Driver.NewStream(isBlocking);
            Driver.Fill(address, 1, nullFirst ? 0 : other);
            Driver.Fill(address, 2, nullFirst ? other : 0);
            return 0;
        }, waitsForAll: true);

        Assert.That(outcomes, isOrdered ? Is.All.EqualTo(0x02020202) : Has.Member(0x01010101).And.Member(0x02020202));
    }

    [Test]
    public void FreeingWaitsForTheDevice()
    {
        Open(WorkOrder.Late, faultsStick: true);
        nint target = Driver.Allocate(4);
        nint other = Driver.Allocate(4);
        Driver.Fill(target, 1, Driver.NewStream());
        Driver.Fill(other, 1, Driver.NewStream());

        Driver.Check(Driver.cuMemFree(target));

        Assert.That(Driver.Peek(other), Is.EqualTo(0x01010101));
        Driver.Check(Driver.cuCtxSynchronize());
    }

    [Test]
    public void ADestroyedStreamDoesWhatItWasGiven()
    {
        Open(WorkOrder.Late);
        nint target = Driver.Allocate(4);
        nint stream = Driver.NewStream();
        Driver.Fill(target, 1, stream);

        Driver.Check(Driver.cuStreamDestroy(stream));

        Assert.That(Driver.Peek(target), Is.EqualTo(-1));
        Driver.Check(Driver.cuCtxSynchronize());
        Assert.That(Driver.Peek(target), Is.EqualTo(0x01010101));
    }

    [Test]
    public void OtherThreadsMakeCallsWhileAKernelRuns()
    {
        Open(WorkOrder.Late);
        Machine machine = MachineDriver.Machine;
        int answer = -1;
        machine.Options = new MachineOptions { Counts = true };
        machine.Counted += Call;
        try
        {
            nint stream = Driver.NewStream();
            Driver.Check(Driver.LaunchAdder(Driver.Function(Driver.Adder, "Add"), Driver.Upload(0), 1, stream));
            Driver.Check(Driver.cuStreamSynchronize(stream));
        }
        finally
        {
            machine.Counted -= Call;
            machine.Options = new MachineOptions();
        }

        Assert.That(answer, Is.Zero, "a call while the launch had not yet ended");

        // The launch does not end before the other thread's call has.
        void Call(string kernel, LaunchCounts counts)
        {
            var other = new Thread(() =>
            {
                Driver.Check(Driver.cuCtxSetCurrent(context));
                answer = Driver.cuMemGetInfo(out _, out _);
            });
            other.Start();
            Assert.That(other.Join(TimeSpan.FromSeconds(30)), Is.True, "the call waits for the kernel");
        }
    }

    [TestCase(WorkOrder.AtOnce)]
    [TestCase(WorkOrder.Drawn)]
    [TestCase(WorkOrder.Late)]
    public void GivingWorkAllocatesNothing(WorkOrder order)
    {
        Open(order);
        nint function = Driver.Function(Driver.Adder, "Add");
        nint target = Driver.Upload(0, 0);
        Driver.Check(Driver.cuMemAllocHost(out nint locked, 8));
        (nint stream, nint other, nint made) = (Driver.NewStream(), Driver.NewStream(), Driver.NewEvent());
        nint graph = Driver.Instantiate(Driver.Capture(stream, () => Driver.Check(Driver.LaunchAdder(function, target, 1, stream))));
        for (int i = 0; i < 3; i++)
            Step();

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 20; i++)
            Step();

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
        Assert.That(Driver.Peek(target), Is.EqualTo(2 * 23));

        void Step()
        {
            int result = Driver.LaunchAdder(function, target, 1, stream) | Driver.cuGraphLaunch(graph, stream)
                | Driver.cuMemcpyHtoDAsync(target + 4, locked, 4, stream) | Driver.cuMemsetD8Async(target + 4, 1, 4, stream)
                | Driver.cuEventRecord(made, stream) | Driver.cuStreamWaitEvent(other, made, 0)
                | Driver.cuMemcpyDtoHAsync(locked + 4, target, 4, other) | Driver.cuEventRecord(made, other) | Driver.cuEventSynchronize(made);
            if (result != 0)
                throw new InvalidOperationException($"result {result}");
        }
    }

    private void Open(WorkOrder order, int seed = 0, bool faultsStick = false) =>
        context = Driver.Open(Driver.Usual with { Order = order, Seed = seed, FaultsStick = faultsStick });

    // What an integer is after the stream that is given back has been waited for, for each of some seeds; 0: after all streams.
    private int[] Outcomes(Func<nint, nint, nint, nint> work, WorkOrder order = WorkOrder.Drawn, bool waitsForAll = false)
    {
        var outcomes = new int[Seeds];
        for (int seed = 0; seed < Seeds; seed++)
        {
            if (seed > 0)
                Close();
            Open(order, seed);
            nint address = Driver.Allocate(4);
            nint awaited = work(address, Driver.NewStream(), Driver.NewStream());
            Driver.Check(awaited == 0 || waitsForAll ? Driver.cuCtxSynchronize() : Driver.cuStreamSynchronize(awaited));
            outcomes[seed] = Driver.Peek(address);
        }

        return outcomes;
    }
}
