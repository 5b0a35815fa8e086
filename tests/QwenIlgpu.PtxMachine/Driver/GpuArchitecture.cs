namespace QwenIlgpu.PtxMachine;

/// <summary>What a GPU of an architecture has, and so what it refuses; clocks and sizes are those of one product.</summary>
public sealed record GpuArchitecture
{
    /// <summary>Registers of a multiprocessor, and so of a group.</summary>
    public const int Registers = 65536;

    public const int MaxThreadRegisters = 255;

    public const int MaxGroupThreads = 1024;

    public const int MaxGroupZ = 64;

    public const int MaxGridX = int.MaxValue;

    public const int MaxGridYZ = 65535;

    /// <summary>Shared memory of a group, static and dynamic, that no kernel need ask for.</summary>
    public const int FreeSharedBytes = 48 << 10;

    /// <summary>An A100.</summary>
    public static readonly GpuArchitecture Sm80 = new()
    {
        Major = 8, Minor = 0, Multiprocessors = 108, MultiprocessorThreads = 2048, MultiprocessorGroups = 32, MultiprocessorSharedKib = 164,
        L2Bytes = 40 << 20, ClockMhz = 1410, MemoryClockMhz = 1215, MemoryBusBits = 5120,
    };

    /// <summary>An RTX 3090.</summary>
    public static readonly GpuArchitecture Sm86 = new()
    {
        Major = 8, Minor = 6, Multiprocessors = 82, MultiprocessorThreads = 1536, MultiprocessorGroups = 16, MultiprocessorSharedKib = 100,
        L2Bytes = 6 << 20, ClockMhz = 1695, MemoryClockMhz = 9751, MemoryBusBits = 384,
    };

    /// <summary>An RTX 4090.</summary>
    public static readonly GpuArchitecture Sm89 = new()
    {
        Major = 8, Minor = 9, Multiprocessors = 128, MultiprocessorThreads = 1536, MultiprocessorGroups = 24, MultiprocessorSharedKib = 100,
        L2Bytes = 72 << 20, ClockMhz = 2520, MemoryClockMhz = 10501, MemoryBusBits = 384,
    };

    /// <summary>An H100.</summary>
    public static readonly GpuArchitecture Sm90 = new()
    {
        Major = 9, Minor = 0, Multiprocessors = 132, MultiprocessorThreads = 2048, MultiprocessorGroups = 32, MultiprocessorSharedKib = 228,
        L2Bytes = 50 << 20, ClockMhz = 1980, MemoryClockMhz = 2619, MemoryBusBits = 5120,
    };

    public static IReadOnlyList<GpuArchitecture> All { get; } = [Sm80, Sm86, Sm89, Sm90];

    /// <summary>Compute capability, before the point.</summary>
    public required int Major { get; init; }

    /// <summary>Compute capability, behind the point.</summary>
    public required int Minor { get; init; }

    public required int Multiprocessors { get; init; }

    /// <summary>Threads that a multiprocessor holds.</summary>
    public required int MultiprocessorThreads { get; init; }

    /// <summary>Groups that a multiprocessor holds.</summary>
    public required int MultiprocessorGroups { get; init; }

    public required int MultiprocessorSharedKib { get; init; }

    public required int L2Bytes { get; init; }

    public required int ClockMhz { get; init; }

    public required int MemoryClockMhz { get; init; }

    public required int MemoryBusBits { get; init; }

    /// <summary>Such as <c>sm_90</c>.</summary>
    public string Name => $"sm_{Major}{Minor}";

    public int MultiprocessorSharedBytes => MultiprocessorSharedKib << 10;

    /// <summary>Shared memory of a group that a kernel may ask for; the driver keeps a KiB of each group's.</summary>
    public int MaxSharedBytes => (MultiprocessorSharedKib - 1) << 10;
}
