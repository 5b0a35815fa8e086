namespace QwenIlgpu.PtxMachine;

/// <summary>What the sanitizer says of a kernel: what, where, by whom.</summary>
/// <param name="Kind">The rule that was broken.</param>
/// <param name="Kernel">The entry's name.</param>
/// <param name="Line">The instruction's line in the PTX, from 1.</param>
/// <param name="Instruction">The text of that line.</param>
/// <param name="Thread">Group and thread, such as <c>group (3, 0, 0) thread (17, 0, 0)</c>; empty where it is not one thread's doing.</param>
/// <param name="Message">Address and operand, and what is wrong with them.</param>
public sealed record Fault(FaultKind Kind, string Kernel, int Line, string Instruction, string Thread, string Message)
{
    public override string ToString() => $"{Kind} in {Kernel}, line {Line} `{Instruction}`, {Thread}: {Message}";
}

/// <summary>The rules of the sanitizer.</summary>
public enum FaultKind
{
    /// <summary>An access outside the operand's view, the allocation or the shared array that its address was made from.</summary>
    OutOfBounds,

    /// <summary>An address that is no multiple of the access's size.</summary>
    Misaligned,

    /// <summary>A 32-bit index with its sign bit set that was widened as unsigned: some 4 billion elements behind the operand.</summary>
    NegativeIndex,

    /// <summary>A read of memory that nothing wrote.</summary>
    UnwrittenMemory,

    /// <summary>A register that nothing wrote, come to a store, an address, a branch or a synchronization.</summary>
    UndefinedValue,

    /// <summary>Two threads of a group at one word of shared memory, one of them writing, with no barrier between them.</summary>
    SharedRace,

    /// <summary>The same of two lanes of a warp, with no <c>bar.warp.sync</c> between: lockstep is no order.</summary>
    WarpRace,

    /// <summary>Two groups at one word of global memory, one of them writing, with nothing that orders them.</summary>
    GlobalRace,

    /// <summary>A warp-wide instruction that not all lanes of the warp came to.</summary>
    Divergence,

    /// <summary>A thread ended while others of its group wait at a barrier.</summary>
    ExitAtBarrier,

    /// <summary>No warp of a group can go on.</summary>
    Deadlock,

    /// <summary>Shared memory touched while an asynchronous copy into it, or a zero fill of it, may still land.</summary>
    PendingCopy,

    /// <summary>Work of a stream, or a graph's, that needs memory which was freed meanwhile; or a kernel whose module was unloaded.</summary>
    FreedMemory,
}

/// <summary>A rule that a kernel breaks by design: such faults are not reported.</summary>
/// <param name="Kind">
/// The rule. <see cref="FaultKind.UndefinedValue"/> is of loads under a guard: where that is false their registers hold any bits, which
/// then count as defined and differ with the seed.
/// </param>
/// <param name="Kernel">The entry's name.</param>
/// <param name="Instruction">How the instruction begins, its guard left out.</param>
/// <param name="Reason">Why no harm comes of it.</param>
public sealed record Declaration(FaultKind Kind, string Kernel, string Instruction, string Reason);

/// <summary>A launch that broke a rule.</summary>
public sealed class FaultException(IReadOnlyList<Fault> faults) : Exception(string.Join('\n', faults))
{
    public IReadOnlyList<Fault> Faults { get; } = faults;
}
