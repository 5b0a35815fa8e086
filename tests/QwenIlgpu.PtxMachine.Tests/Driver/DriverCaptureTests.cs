namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>Captures of several streams: the edges that events give, and what spoils them.</summary>
[NonParallelizable]
internal sealed class DriverCaptureTests
{
    private const int Seeds = 24;

    private nint context;
    private nint first;
    private nint second;

    [SetUp]
    public void Open() => Open(0);

    [TearDown]
    public void Close() => Driver.Check(Driver.cuCtxDestroy(context));

    /// <summary>Two branches between a fork and a join: one fills the left integer, one the right, or both the same one.</summary>
    [TestCase(4)]
    [TestCase(0)]
    public void ReplaysAnOrderThatTheEdgesAllow(int distance)
    {
        var outcomes = new HashSet<(int, int)>();
        for (int seed = 0; seed < Seeds; seed++)
        {
            Close();
            Open(seed);
            nint target = Driver.Allocate(8);
            nint graph = Driver.Instantiate(Driver.Capture(first, () =>
            {
                Driver.Fill(target, 9, first);
                Driver.Fill(target + 4, 9, first);
                Driver.Check(Driver.Order(first, second));
                Driver.Fill(target, 1, first);
                Driver.Fill(target + distance, 2, second);
                Driver.Check(Driver.Order(second, first));
                Driver.Fill(target + 4, 3, first);
            }));
            Driver.Check(Driver.cuGraphLaunch(graph, first));
            Driver.Check(Driver.cuStreamSynchronize(first));
            outcomes.Add((Driver.Peek(target), Driver.Peek(target + 4)));
        }

        (int, int)[] expected = distance == 4
            ? [(0x01010101, 0x03030303)]
            : [(0x01010101, 0x03030303), (0x02020202, 0x03030303)];
        Assert.That(outcomes, Is.EquivalentTo(expected));
    }

    [Test]
    public void AStreamIsFreeAgainAfterTheCapture()
    {
        nint target = Driver.Allocate(4);
        Driver.Capture(first, () =>
        {
            Driver.Check(Driver.Order(first, second));
            Assert.That(StatusOf(second), Is.EqualTo(1), "joined");
            Driver.Fill(target, 1, second);
            Driver.Check(Driver.Order(second, first));
        });

        Assert.That((StatusOf(first), StatusOf(second)), Is.EqualTo((0, 0)));
        Driver.Fill(target, 2, second);
        Driver.Check(Driver.cuStreamSynchronize(second));
        Assert.That(Driver.Peek(target), Is.EqualTo(0x02020202));
    }

    [TestCase(true, 0)]
    [TestCase(false, 904)]
    public void WorkOfAnotherStreamMustBeJoined(bool joins, int result)
    {
        nint target = Driver.Allocate(4);
        Driver.Check(Driver.cuStreamBeginCapture(first, 1));
        Driver.Check(Driver.Order(first, second));
        Driver.Fill(target, 1, second);
        if (joins)
            Driver.Check(Driver.Order(second, first));

        Assert.That(Driver.cuStreamEndCapture(first, out nint graph), Is.EqualTo(result));
        Assert.That(graph != 0, Is.EqualTo(joins));
        Assert.That(StatusOf(second), Is.Zero);
    }

    [Test]
    public void TheStreamThatBeganEnds()
    {
        Driver.Check(Driver.cuStreamBeginCapture(first, 1));
        Driver.Check(Driver.Order(first, second));

        Assert.That(Driver.cuStreamEndCapture(second, out _), Is.EqualTo(903));
        Assert.That(Driver.cuStreamEndCapture(first, out _), Is.EqualTo(901));
    }

    [TestCase(1, 908)]
    [TestCase(2, 0)]
    public void TheThreadThatBeganEnds(int mode, int expected)
    {
        Driver.Check(Driver.cuStreamBeginCapture(first, mode));
        int result = -1;
        var other = new Thread(() =>
        {
            Driver.Check(Driver.cuCtxSetCurrent(context));
            result = Driver.cuStreamEndCapture(first, out _);
        });
        other.Start();
        other.Join();

        Assert.That(result, Is.EqualTo(expected));
        Assert.That(Driver.cuStreamEndCapture(first, out _), Is.EqualTo(expected == 0 ? 401 : 0));
    }

    [Test]
    public void TwoCapturesDoNotMerge()
    {
        Driver.Check(Driver.cuStreamBeginCapture(first, 1));
        Driver.Check(Driver.cuStreamBeginCapture(second, 1));

        Assert.That(Driver.Order(first, second), Is.EqualTo(902));
        Assert.That(Driver.cuStreamEndCapture(first, out _), Is.EqualTo(901));
        Assert.That(Driver.cuStreamEndCapture(second, out _), Is.EqualTo(901));
    }

    [Test]
    public void ACaptureDoesNotWaitForWhatIsOutside()
    {
        nint outside = Driver.NewEvent();
        nint never = Driver.NewEvent();
        Driver.Check(Driver.cuEventRecord(outside, second));
        Driver.Check(Driver.cuStreamBeginCapture(first, 1));

        Driver.Check(Driver.cuStreamWaitEvent(first, never, 0));
        Assert.That(Driver.cuStreamWaitEvent(first, outside, 0), Is.EqualTo(905));
        Assert.That(Driver.cuMemsetD8Async(Driver.MemoryBytes, 0, 4, first), Is.Not.Zero);
        Assert.That(Driver.cuStreamEndCapture(first, out _), Is.EqualTo(901));
    }

    [Test]
    public void ALostCaptureTakesNoMoreWork()
    {
        nint target = Driver.Allocate(4);
        Driver.Check(Driver.cuStreamBeginCapture(first, 1));
        Driver.Fill(target, 1, first);
        Assert.That(Driver.cuMemFree(target), Is.EqualTo(900));

        Assert.That(StatusOf(first), Is.EqualTo(2));
        Assert.That(Driver.cuMemsetD8Async(target, 1, 4, first), Is.EqualTo(901));
        Assert.That(Driver.cuStreamEndCapture(first, out _), Is.EqualTo(901));
        Driver.Fill(target, 2, first);
        Driver.Check(Driver.cuStreamSynchronize(first));
        Assert.That(Driver.Peek(target), Is.EqualTo(0x02020202));
    }

    [Test]
    public void ACapturedEventIsNoPointInTime()
    {
        nint made = Driver.NewEvent();
        Driver.Check(Driver.cuStreamBeginCapture(first, 1));
        Driver.Check(Driver.cuEventRecord(made, first));

        Assert.That(Driver.cuEventQuery(made), Is.EqualTo(907));
        Assert.That(Driver.cuStreamEndCapture(first, out _), Is.EqualTo(901));
        Assert.That(Driver.cuStreamWaitEvent(second, made, 0), Is.EqualTo(907), "after the capture");
        Assert.That(Driver.cuEventSynchronize(made), Is.EqualTo(907));
        Driver.Check(Driver.cuEventRecord(made, second));
        Driver.Check(Driver.cuEventSynchronize(made));
    }

    [TestCase(true, 906, 901)]
    [TestCase(false, 0, 0)]
    public void TheNullStreamMayNotWaitForACapture(bool isBlocking, int used, int ended)
    {
        nint target = Driver.Allocate(4);
        nint stream = Driver.NewStream(isBlocking);
        Driver.Check(Driver.cuStreamBeginCapture(stream, 1));

        Assert.That(Driver.cuMemsetD8Async(target, 1, 4, 0), Is.EqualTo(used));
        Assert.That(Driver.cuStreamEndCapture(stream, out _), Is.EqualTo(ended));
    }

    [TestCase(0)]
    [TestCase(1)]
    [TestCase(2)]
    public void TheContextIsNotWaitedForWhileAStreamIsCaptured(int mode)
    {
        Driver.Check(Driver.cuStreamBeginCapture(first, mode));

        Assert.That(Driver.cuCtxSynchronize(), Is.EqualTo(900));
        Assert.That(Driver.cuStreamEndCapture(first, out _), Is.EqualTo(901));
    }

    [Test]
    public void TheNullStreamIsNotCaptured() => Assert.That(Driver.cuStreamBeginCapture(0, 1), Is.EqualTo(900));

    private static int StatusOf(nint stream)
    {
        Driver.Check(Driver.cuStreamIsCapturing(stream, out int status));
        return status;
    }

    private void Open(int seed)
    {
        context = Driver.Open(Driver.Usual with { Order = WorkOrder.Drawn, Seed = seed });
        (first, second) = (Driver.NewStream(), Driver.NewStream());
    }
}
