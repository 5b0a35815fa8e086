namespace QwenIlgpu.PtxMachine;

/// <summary>What the driver says of its devices, and how these do what they are given.</summary>
public sealed record DriverOptions
{
    /// <summary>Of several devices each has its number behind it.</summary>
    public string Name { get; init; } = "PTX machine";

    /// <summary>Devices, all alike; their kernels run on the one machine.</summary>
    public int Devices { get; init; } = 1;

    /// <summary>What the devices are and what they refuse.</summary>
    public GpuArchitecture Architecture { get; init; } = GpuArchitecture.Sm90;

    /// <summary>Memory that the allocations of one device share.</summary>
    public long MemoryBytes { get; init; } = 8L << 30;

    /// <summary>1000 · major + 10 · minor; it decides the PTX ISA that ILGPU writes.</summary>
    public int DriverVersion { get; init; } = 12080;

    /// <summary>What <c>cuInit</c> answers.</summary>
    public int InitResult { get; init; }

    /// <summary>Whether an administrator has forbidden contexts on the devices.</summary>
    public bool IsProhibited { get; init; }

    /// <summary>When work that was given to streams runs.</summary>
    public WorkOrder Order { get; init; }

    /// <summary>Draws the order of <see cref="WorkOrder.Drawn"/>.</summary>
    public int Seed { get; init; }

    /// <summary>
    /// Whether a fault of some work is the end of its context, as on a GPU. Otherwise it is told once, by the launch itself where work runs
    /// at once, and the context goes on.
    /// </summary>
    public bool FaultsStick { get; init; }

    /// <summary>Whether kernels run. If not they do nothing, and a millisecond lies between any two events.</summary>
    public bool RunsKernels { get; init; } = true;

    /// <summary>Whether calls are kept for <see cref="MachineDriver.Calls"/>, and sources of copies watched.</summary>
    public bool Records { get; init; }

    /// <summary>Registers of a thread of an entry, by its name; 0 where nobody knows. Null: nobody does.</summary>
    public Func<string, int>? RegistersOf { get; init; }
}

/// <summary>When work that was given to streams runs, of the moments that events, streams and waits allow.</summary>
public enum WorkOrder
{
    /// <summary>Inside the call that gives it.</summary>
    AtOnce,

    /// <summary>
    /// At waits and queries, in an order that the seed draws among all that could run, until what is awaited is done. So what nobody waits
    /// for may have run or not.
    /// </summary>
    Drawn,

    /// <summary>At waits only, and nothing that is not awaited.</summary>
    Late,
}
