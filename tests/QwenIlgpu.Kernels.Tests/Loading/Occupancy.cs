using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// How many of a multiprocessor's warps a kernel can keep, by NVIDIA's published limits of each architecture. All have 65,536
/// registers, given out to a warp in units of 256, and to four warps at a time.
/// </summary>
internal sealed record Occupancy(int Warps, int Groups, int SharedBytes)
{
    private const int Registers = 65536;
    private const int RegisterUnit = 256;
    private const int WarpUnit = 4;
    private const int SharedUnit = 128;
    private const int SharedReservedPerGroup = 1024;
    private const int WarpThreads = 32;

    public static Occupancy Of(CudaArchitecture architecture) => (architecture.Major, architecture.Minor) switch
    {
        (8, 0) => new(64, 32, 164 << 10),
        (8, 6) => new(48, 16, 100 << 10),
        (8, 9) => new(48, 24, 100 << 10),
        (9, 0) => new(64, 32, 228 << 10),
        _ => throw new ArgumentException($"limits of {architecture} are not listed"),
    };

    /// <summary>Share of the multiprocessor's warps in percent; 0 where not even one group fits.</summary>
    public int Percent(int registers, int sharedBytes, int groupThreads)
    {
        int groupWarps = (groupThreads + WarpThreads - 1) / WarpThreads;
        int registersPerWarp = RoundUp(Math.Max(registers, 1) * WarpThreads, RegisterUnit);
        int warpsByRegisters = Registers / registersPerWarp / WarpUnit * WarpUnit;
        int groups = Math.Min(Groups, Warps / groupWarps);
        groups = Math.Min(groups, warpsByRegisters / groupWarps);
        groups = Math.Min(groups, SharedBytes / RoundUp(sharedBytes + SharedReservedPerGroup, SharedUnit));
        return (int)Math.Round(100.0 * groups * groupWarps / Warps, MidpointRounding.AwayFromZero);
    }

    private static int RoundUp(int value, int unit) => (value + unit - 1) / unit * unit;
}
