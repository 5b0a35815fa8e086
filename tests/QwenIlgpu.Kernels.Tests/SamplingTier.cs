namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// A tier of the sampling kernels and the device that it is tested on: the portable one on the CPU accelerator, that of groups on PoCL; on
/// a GPU that of groups.
/// </summary>
internal sealed class SamplingTier(TestDevice device, bool runsWarpKernels)
{
    private static readonly Lazy<SamplingTier> Portable = new(() => new SamplingTier(TestDevice.Shared, false));
    private static readonly Lazy<SamplingTier> Groups = new(() => new SamplingTier(PoclDevice.Shared, true));
    private static readonly Lazy<SamplingTier> Cuda = new(() => new SamplingTier(TestDevice.Shared, true));

    public static string[] Names => TestDevice.Kind == "cuda" ? ["cuda"] : ["portable", "groups"];

    public TestDevice Device { get; } = device;

    public KernelLoader Loader { get; } =
        device.Loader.RunsWarpKernels == runsWarpKernels ? device.Loader : new(device.Accelerator) { RunsWarpKernels = runsWarpKernels };

    public static SamplingTier Named(string name)
    {
        if (name == "groups")
            _ = PoclDevice.Shared;                      // skips the test where there is none
        return (name switch { "portable" => Portable, "groups" => Groups, _ => Cuda }).Value;
    }
}
