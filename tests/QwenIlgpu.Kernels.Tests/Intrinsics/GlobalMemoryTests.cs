using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

[TestFixtureSource(typeof(WarpDevice), nameof(WarpDevice.Names))]
[NonParallelizable]
internal sealed class GlobalMemoryTests(string deviceName)
{
    private TestDevice Device => WarpDevice.Named(deviceName);

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    [Test]
    public void LoadsSixteenBytes()
    {
        UInt4[] x = [.. Enumerable.Range(0, 32).Select(i => new UInt4((uint)i, (uint)i + 100, (uint)i + 200, (uint)i + 300))];
        ArrayView<UInt4> y = Device.Poisoned<UInt4>(4 * x.Length);

        Device.Run(GlobalLoadKernel.Loads, new KernelConfig(1, x.Length), new GlobalLoadKernel(Device.Upload(x), y));

        var poison = new UInt4(uint.MaxValue, uint.MaxValue, uint.MaxValue, uint.MaxValue);
        UInt4[] even = [.. x.Select((word, i) => i % 2 == 0 ? word : poison)];
        Assert.That(Device.Download(y), Is.EqualTo((UInt4[])[.. x, .. x, .. x, .. even]));
    }

    [Test]
    public void GivesEachGroupItsTicket()
    {
        const int Groups = 7;
        ArrayView<int> state = Device.Upload(0, 0, 0);
        ArrayView<int> sum = Device.Poisoned<int>(1);

        Device.Run(TicketKernel.Tickets, new KernelConfig(Groups, 32), new TicketKernel(Device.Poisoned<int>(Groups), state, sum));

        Assert.That(Device.Download(state), Is.EqualTo((int[])[Groups, 17, Groups]));
        Assert.That(Device.Download(sum)[0], Is.EqualTo(1 + 4 + 9 + 16 + 25 + 36 + 49));
    }

    [Test]
    public void AddsWithinTheGroupAndOverTheDevice()
    {
        const int Groups = 5;
        long[] x = [.. Enumerable.Range(0, 64).Select(i => (1L << 40) - (i * (long)int.MaxValue))];
        ArrayView<int> tickets = Device.Poisoned<int>(Groups * x.Length);
        ArrayView<long> sum = Device.Upload(-7L);

        Device.Run(SumKernel.Sums, new KernelConfig(Groups, x.Length), new SumKernel(tickets, Device.Upload(x), sum));

        Assert.That(Device.Download(tickets), Has.All.EqualTo(1));
        Assert.That(Device.Download(sum)[0], Is.EqualTo((Groups * x.Sum()) - 7));
    }

    [Test]
    public void NeedsNoOrderWhereLaunchesFollowOneAnother()
    {
        if (deviceName == "cuda")
            Assert.Ignore("needs PTX for sm_90, which ILGPU does not write itself");
        ArrayView<int> y = Device.Poisoned<int>(32);

        Device.Run(GridDependencyKernel.Dependencies, new KernelConfig(1, 32), new GridDependencyKernel(y));

        Assert.That(Device.Download(y), Has.All.EqualTo(1));
    }
}
