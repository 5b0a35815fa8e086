namespace QwenIlgpu.PtxMachine;

/// <summary>What instructions are counted as.</summary>
public enum InstructionClass
{
    Move,
    Whole,
    Real,
    Conversion,
    Special,
    Global,
    Shared,
    Matrix,
    Shuffle,
    Barrier,
    Atomic,
    Branch,
    Parameter,
}

/// <summary>What a launch did, in units of hardware: warps' instructions, 32-byte sectors, passes over the banks.</summary>
/// <param name="Instructions">Instructions of warps, by class.</param>
/// <param name="Requests">Accesses of warps to global memory.</param>
/// <param name="Sectors">32-byte sectors that they touched, each access for itself.</param>
/// <param name="MinimalSectors">As many as the same bytes would fill.</param>
/// <param name="SharedRequests">Accesses of warps to shared memory.</param>
/// <param name="SharedPasses">Passes that they take, all phases together.</param>
/// <param name="BankConflicts">Passes beyond one a phase.</param>
/// <param name="Lines">Lines of the text that some warp came to.</param>
public sealed record LaunchCounts(
    IReadOnlyDictionary<InstructionClass, long> Instructions, long Requests, long Sectors, long MinimalSectors, long SharedRequests,
    long SharedPasses, long BankConflicts, IReadOnlySet<int> Lines);
