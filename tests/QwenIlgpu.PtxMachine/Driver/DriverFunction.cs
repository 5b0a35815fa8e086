namespace QwenIlgpu.PtxMachine;

/// <summary>A kernel as launches see it: how much dynamic shared memory one may ask for, and what it takes of a multiprocessor.</summary>
internal sealed class DriverFunction(PtxKernel kernel, DriverContext context)
{
    // What the driver itself takes of shared memory for each group.
    private const int ReservedSharedBytes = 1 << 10;

    // Registers are given out to a warp in units of this many a thread.
    private const int RegisterUnit = 8;
    private const int UnknownRegisters = 128;
    private const int WarpThreads = 32;

    public PtxKernel Kernel { get; } = kernel;

    public DriverContext Context { get; } = context;

    /// <summary>Whether its module is gone.</summary>
    public bool IsUnloaded { get; set; }

    /// <summary>Dynamic shared memory that a launch may have.</summary>
    public int DynamicSharedBytes { get; private set; } = GpuArchitecture.FreeSharedBytes - kernel.SharedBytes;

    /// <summary>
    /// Registers of a thread, as the options have them. Where these do not know: as many as a compiler may take that keeps the kernel's
    /// bounds, so that every group of that size fits.
    /// </summary>
    public int ThreadRegisters => MachineDriver.Options.RegistersOf?.Invoke(Kernel.Name) is int known and > 0
        ? known
        : Math.Min(UnknownRegisters, GpuArchitecture.Registers / (Kernel.MaxGroupThreads * Kernel.MinGroups) / RegisterUnit * RegisterUnit);

    private static GpuArchitecture Architecture => MachineDriver.Options.Architecture;

    /// <summary>Registers that a group of so many threads takes.</summary>
    public int RegistersOf(long groupThreads) => RoundUp((int)groupThreads, WarpThreads) * RoundUp(ThreadRegisters, RegisterUnit);

    /// <exception cref="DriverException">More than a group can have.</exception>
    public void AllowDynamicShared(int bytes)
    {
        int most = Architecture.MaxSharedBytes - Kernel.SharedBytes;
        if (bytes < 0 || bytes > most)
        {
            throw new DriverException(
                DriverResult.InvalidValue,
                $"{Kernel.Name}: {bytes} bytes of dynamic shared memory are asked for; " +
                $"on {Architecture.Name} a group of it can have {most}");
        }

        DynamicSharedBytes = bytes;
    }

    /// <summary>Groups of a launch that a multiprocessor holds at once.</summary>
    public int GroupsPerMultiprocessor(int groupThreads, long dynamicSharedBytes)
    {
        int threads = RoundUp(groupThreads, WarpThreads);
        long shared = Kernel.SharedBytes + dynamicSharedBytes + ReservedSharedBytes;
        int byThreads = Math.Min(Architecture.MultiprocessorThreads / threads, GpuArchitecture.Registers / RegistersOf(groupThreads));
        return (int)Math.Min(Math.Min(byThreads, Architecture.MultiprocessorGroups), Architecture.MultiprocessorSharedBytes / shared);
    }

    private static int RoundUp(int value, int unit) => (value + unit - 1) / unit * unit;
}
