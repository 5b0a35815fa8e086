namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// A fixture of portable kernels: every test runs once with the plain loops, which define the op for every accelerator, once with the
/// shares of CPU threads, and once as PTX on the machine.
/// </summary>
[PortableTiers]
internal abstract class PortableTests(PortableTier tier) : KernelTests
{
    /// <summary>Where there is a GPU, it takes the machine's place.</summary>
    public static PortableTier[] Tiers => TestDevice.Kind == "cuda"
        ? [PortableTier.Ptx]
        : [PortableTier.Loops, PortableTier.Shares, PortableTier.Ptx];

    /// <summary>The device of a tier, whose kernels it binds until <see cref="UseNone"/>.</summary>
    public static TestDevice Use(PortableTier tier)
    {
        Assume.That(tier != PortableTier.Shares || CpuVectors.AreSupported, "shares need AVX2 and FMA");
        Choose(tier == PortableTier.Ptx ? WarpDevice.Named(WarpDevice.Usual) : TestDevice.Shared);
        Device.UsesShares = tier == PortableTier.Shares;
        Device.RunsPortableKernels = tier == PortableTier.Ptx;
        return Device;
    }

    public static void UseNone()
    {
        Device.Release();
        Device.UsesShares = false;
        Device.RunsPortableKernels = false;
        Choose(null);
    }

    [SetUp]
    public void ChooseTier() => Use(tier);

    [TearDown]
    public void ChooseNone() => UseNone();

    /// <summary>
    /// What launches leave, bit for bit the same whether one thread does them, two or three, each its part in turn; on the machine, in
    /// whichever order it runs warps and groups.
    /// </summary>
    public static T[] RunInParts<T>(Func<Launch[]> bind, Func<T[]> result)
    {
        Assume.That(Device.IsMachine || TestDevice.Kind == "cpu", "parts are of CPU threads");
        T[] alone = [];
        for (int threads = 1; threads <= 3; threads++)
        {
            if (Device.IsMachine)
                Device.Run(MachineSchedule.Seeded(threads), bind());
            else
                RunEachPart(bind(), threads);

            T[] left = result();
            if (threads == 1)
                alone = left;
            Assert.That(left, Is.EqualTo(alone), Device.IsMachine ? $"schedule {threads}" : $"{threads} threads");
        }

        return alone;
    }

    private static void RunEachPart(Launch[] launches, int threads)
    {
        foreach (Launch launch in launches)
        {
            for (int thread = 0; thread < threads; thread++)
                launch.CpuPart!(thread, threads);
        }
    }
}

/// <summary>How portable kernels run: plain loops, shares of CPU threads, or PTX on the machine.</summary>
internal enum PortableTier
{
    Loops,
    Shares,
    Ptx,
}
