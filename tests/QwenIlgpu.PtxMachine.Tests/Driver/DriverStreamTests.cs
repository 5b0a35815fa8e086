namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>Streams, events, and what a captured stream becomes.</summary>
[NonParallelizable]
internal sealed class DriverStreamTests
{
    private nint context;
    private nint stream;

    [SetUp]
    public void Open()
    {
        context = Driver.Open();
        Driver.Check(Driver.cuStreamCreate(out stream, 1));
    }

    [TearDown]
    public void Close()
    {
        Driver.Check(Driver.cuStreamDestroy(stream));
        Driver.Check(Driver.cuCtxDestroy(context));
    }

    [Test]
    public void TimeGoesBy()
    {
        Driver.Check(Driver.cuEventCreate(out nint start, 0));
        Driver.Check(Driver.cuEventCreate(out nint end, 0));
        Assert.That(Driver.cuEventElapsedTime(out _, start, end), Is.EqualTo(400), "never recorded");

        Driver.Check(Driver.cuEventRecord(start, stream));
        Driver.Check(Driver.cuEventRecord(end, stream));
        Driver.Check(Driver.cuStreamWaitEvent(stream, end, 0));
        Driver.Check(Driver.cuEventQuery(end));
        Driver.Check(Driver.cuEventElapsedTime(out float milliseconds, start, end));

        Assert.That(milliseconds, Is.GreaterThan(0));
        Driver.Check(Driver.cuEventDestroy(start));
        Assert.That(Driver.cuEventRecord(start, stream), Is.EqualTo(400), "destroyed");
    }

    [Test]
    public void ReplaysWhatWasCaptured()
    {
        nint function = Driver.Function(Driver.Adder, "Add");
        nint sum = Driver.Upload(1);
        nint copy = Driver.Upload(0, 0);

        Driver.Check(Driver.cuStreamBeginCapture(stream, 1));
        Driver.Check(Driver.LaunchAdder(function, sum, 10, stream));
        Driver.Check(Driver.cuMemcpyAsync(copy, sum, 4, stream));
        Driver.Check(Driver.cuMemsetD8Async(copy + 4, 1, 4, stream));
        Driver.Check(Driver.cuStreamEndCapture(stream, out nint graph));
        Assert.That(Driver.Download(sum, 1), Is.EqualTo(new[] { 1 }), "captured work is not done");
        Driver.Check(Driver.cuGraphInstantiateWithFlags(out nint executable, graph, 0));
        Driver.Check(Driver.cuGraphDestroy(graph));
        Driver.Check(Driver.cuGraphLaunch(executable, stream));
        Driver.Check(Driver.cuGraphLaunch(executable, stream));

        Assert.That(Driver.Download(sum, 1), Is.EqualTo(new[] { 21 }));
        Assert.That(Driver.Download(copy, 2), Is.EqualTo(new[] { 21, 0x01010101 }));
        Driver.Check(Driver.cuGraphExecDestroy(executable));
        Assert.That(Driver.cuGraphLaunch(executable, stream), Is.EqualTo(400), "destroyed");
    }

    [TestCase(0)]
    [TestCase(1)]
    public void AForbiddenCallLosesTheCapture(int mode)
    {
        Driver.Check(Driver.cuStreamBeginCapture(stream, mode));

        Assert.That(Driver.cuMemAlloc(out _, 16), Is.EqualTo(900));
        Assert.That(Driver.cuStreamEndCapture(stream, out nint graph), Is.EqualTo(901));
        Assert.That(graph, Is.EqualTo((nint)0));
        Assert.That(Driver.cuStreamEndCapture(stream, out _), Is.EqualTo(401), "no longer captured");
    }

    [Test]
    public void ARelaxedCaptureForbidsOnlyWaiting()
    {
        Driver.Check(Driver.cuStreamBeginCapture(stream, 2));
        Driver.Allocate(16);

        Assert.That(Driver.cuStreamSynchronize(stream), Is.EqualTo(900));
        Assert.That(Driver.cuStreamEndCapture(stream, out _), Is.EqualTo(901));
    }
}
