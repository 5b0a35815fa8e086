namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// A tier of the sampling kernels and the device that it is tested on: the portable one on the CPU accelerator, with its shares or
/// without, and as PTX on the machine or a GPU, as is that of groups.
/// </summary>
internal sealed class SamplingTier(TestDevice device, bool runsWarpKernels, bool usesShares = false)
{
    private static readonly Lazy<SamplingTier> Portable = new(() => new SamplingTier(TestDevice.Shared, false));
    private static readonly Lazy<SamplingTier> Sharing = new(() => new SamplingTier(TestDevice.Shared, false, true));
    private static readonly Lazy<SamplingTier> Ptx = new(() => new SamplingTier(WarpDevice.Named(WarpDevice.Usual), false));
    private static readonly Lazy<SamplingTier> Groups = new(() => new SamplingTier(WarpDevice.Named(WarpDevice.Usual), true));
    private static readonly Lazy<SamplingTier> Toy = new(() => new SamplingTier(WarpDevice.Wide, true));

    public static string[] Names => TestDevice.Kind == "cuda" ? ["ptx", "groups"] : ["portable", "shares", "ptx", "groups"];

    public TestDevice Device { get; } = device;

    public KernelLoader Loader { get; } =
        device.Loader.RunsWarpKernels == runsWarpKernels && device.Loader.UsesShares == usesShares
            ? device.Loader
            : new(device.Accelerator) { RunsWarpKernels = runsWarpKernels, UsesShares = usesShares };

    public static SamplingTier Named(string name)
    {
        if (name is "ptx" or "groups")
            _ = WarpDevice.Named(WarpDevice.Usual);     // skips the test where there is none
        Assume.That(name != "shares" || CpuVectors.AreSupported, "shares need AVX2 and FMA");
        return (name switch { "portable" => Portable, "shares" => Sharing, "ptx" => Ptx, "groups" => Groups, _ => Toy }).Value;
    }
}
