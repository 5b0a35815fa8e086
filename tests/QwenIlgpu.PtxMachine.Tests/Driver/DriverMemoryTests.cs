using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine.Tests;

[NonParallelizable]
internal sealed unsafe class DriverMemoryTests
{
    private nint context;

    [SetUp]
    public void Open() => context = Driver.Open();

    [TearDown]
    public void Close() => Driver.Check(Driver.cuCtxDestroy(context));

    [Test]
    public void FreshMemoryIsFullOfOnes() => Assert.That(Driver.Download(Driver.Allocate(400), 100), Is.All.EqualTo(-1));

    [Test]
    public void CopiesInEveryDirection()
    {
        nint first = Driver.Upload(1, 2, 3, 4);
        nint second = Driver.Allocate(16);
        Driver.Check(Driver.cuMemAllocHost(out nint locked, 16));

        Driver.Check(Driver.cuMemcpyAsync(locked, first, 16, 0));
        ((int*)locked)[1] = 7;
        Driver.Check(Driver.cuMemcpyAsync(second, locked, 16, 0));
        Driver.Check(Driver.cuMemcpyAsync(second + 8, first, 4, 0));
        Driver.Check(Driver.cuMemsetD8Async(second + 12, 2, 4, 0));

        Assert.That(Driver.Download(second, 4), Is.EqualTo(new[] { 1, 7, 1, 0x02020202 }));
        Driver.Check(Driver.cuMemFreeHost(locked));
    }

    /// <summary>Of the source the second and the fourth word are written.</summary>
    [Test]
    public void ACopyOfWhatNobodyWroteIsUnwritten()
    {
        nint source = Driver.Allocate(16);
        nint target = Driver.Upload(1, 2, 3, 4);
        Driver.Check(Driver.cuMemsetD8Async(source + 4, 0, 4, 0));
        Driver.Check(Driver.cuMemsetD8Async(source + 12, 0, 4, 0));

        Driver.Check(Driver.cuMemcpyAsync(target, source, 16, 0));
        Assert.That(Unwritten(target), Is.EqualTo(new[] { true, false, true, false }));
        Driver.Check(Driver.cuMemcpyAsync(target, Driver.Upload(5, 6, 7, 8), 16, 0));
        Assert.That(Unwritten(target), Is.All.False);
        Driver.Check(Driver.cuMemcpyAsync(target + 4, source, 8, 0));
        Assert.That(Unwritten(target), Is.EqualTo(new[] { false, true, false, false }));
        Driver.Check(Driver.cuMemcpyAsync(target, Driver.Allocate(8), 8, 0));
        Assert.That(Unwritten(target), Is.EqualTo(new[] { true, true, false, false }));
    }

    [Test]
    public void CountsWhatIsAllocated()
    {
        Driver.Check(Driver.cuMemGetInfo(out nint free, out nint total));
        nint address = Driver.Allocate(1000);
        Driver.Check(Driver.cuMemGetInfo(out nint less, out _));

        Assert.That((free, total, less), Is.EqualTo(((nint)Driver.MemoryBytes, (nint)Driver.MemoryBytes, free - 1000)));
        Assert.That(Driver.cuMemAlloc(out _, free - 999), Is.EqualTo(2), "out of memory");
        Driver.Check(Driver.cuMemFree(address));
        Driver.Check(Driver.cuMemGetInfo(out free, out _));
        Assert.That(free, Is.EqualTo(total));
    }

    [Test]
    public void AContextsMemoryGoesWithIt()
    {
        Driver.Allocate(1000);
        Driver.Check(Driver.cuCtxDestroy(context));
        Assert.That(Driver.cuMemGetInfo(out _, out _), Is.EqualTo(201), "no context");

        context = Driver.Open();
        Driver.Check(Driver.cuMemGetInfo(out nint free, out nint total));

        Assert.That(free, Is.EqualTo(total));
    }

    [Test]
    public void RefusesWhatIsNotThere()
    {
        nint address = Driver.Upload(1, 2, 3, 4);
        nint host = (nint)NativeMemory.Alloc(64);

        Assert.Multiple(() =>
        {
            Assert.That(Driver.cuMemAlloc(out _, 0), Is.EqualTo(1), "nothing allocated");
            Assert.That(Driver.cuMemFree(address + 4), Is.EqualTo(1), "the inside of an allocation");
            Assert.That(Driver.cuMemFreeHost(address), Is.EqualTo(1), "the device's memory as the host's");
            Assert.That(Driver.cuMemcpyDtoHAsync(host, address + 4, 16, 0), Is.EqualTo(1), "a copy over an end");
            Assert.That(Driver.cuMemcpyHtoDAsync(host, address, 16, 0), Is.EqualTo(1), "a copy to the host as one to the device");
            Assert.That(Driver.cuMemsetD8Async(host, 0, 16, 0), Is.EqualTo(1), "a fill of the host's memory");
            Assert.That(Driver.cuMemFree(address), Is.Zero);
            Assert.That(Driver.cuMemFree(address), Is.EqualTo(1), "freed twice");
        });
        NativeMemory.Free((void*)host);
    }

    private static bool[] Unwritten(nint address) =>
        [.. Enumerable.Range(0, 4).Select(i => MachineDriver.Machine.Memory.HasUnwritten(address + (4 * i), 4))];
}
