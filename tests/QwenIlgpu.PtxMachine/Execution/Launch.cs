using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>A grid that runs: what its groups share.</summary>
internal sealed unsafe class Launch : IDisposable
{
    private const int MostFaults = 16;

    private readonly List<Fault> faults = [];
    private readonly HashSet<(FaultKind Kind, int Line)> reported = [];
    private readonly ConcurrentDictionary<(FaultKind Kind, int Line), bool> declared = [];
    private readonly byte* parameters;
    private readonly int[] order;
    private int started;
    private long turns;

    public Launch(Program program, GridShape shape, ReadOnlySpan<byte> arguments, DeviceMemory memory, MachineOptions options, LaunchCounters? counters)
    {
        (Program, Shape, Memory, Options, Counters) = (program, shape, memory, options, counters);
        GroupWarps = (int)((shape.GroupThreads + Warp.Lanes - 1) / Warp.Lanes);
        SharedBytes = program.Shared.TotalBytes((int)shape.DynamicSharedBytes);
        parameters = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(arguments.Length, 16), 16);
        arguments.CopyTo(new Span<byte>(parameters, arguments.Length));
        Access = new GlobalAccess(this);
        SharedArrays = new SharedBounds(program, shape, SharedBytes);
        order = [.. Enumerable.Range(0, (int)shape.Groups)];
        new Random(options.Seed).Shuffle(order);
    }

    public Program Program { get; }

    public GridShape Shape { get; }

    public DeviceMemory Memory { get; }

    public MachineOptions Options { get; }

    public LaunchCounters? Counters { get; }

    public int GroupWarps { get; }

    /// <summary>Shared memory of a group, static and dynamic.</summary>
    public int SharedBytes { get; }

    public byte* Parameters => parameters;

    public GlobalAccess Access { get; }

    public SharedBounds SharedArrays { get; }

    /// <summary>What releases and acquires have passed on between groups.</summary>
    public Releases Releases { get; } = new();

    /// <summary>Held by atomics, which are done one after another.</summary>
    public Lock Atomics { get; } = new();

    public IReadOnlyList<Fault> Faults => faults;

    /// <summary>Set where going on makes no sense.</summary>
    public bool IsStopped { get; private set; }

    /// <summary>Turns of warps, all workers' together.</summary>
    public long Turns => turns;

    /// <summary>The next group to run, or −1.</summary>
    public int NextGroup()
    {
        int index = Interlocked.Increment(ref started) - 1;
        return index < order.Length && !IsStopped ? order[index] : -1;
    }

    public void AddTurns(long taken) => Interlocked.Add(ref turns, taken);

    /// <summary>Whether lanes that part at this block run in the other order.</summary>
    public bool FlipsOrder(int block) => ((uint)HashCode.Combine(Options.Seed, block) & 1) != 0;

    /// <summary>Whether an instruction of this line is known to break the rule, and may. Guarded loads ask each time they run.</summary>
    public bool IsDeclared(FaultKind kind, int line) => Options.Declared.Count > 0 && declared.GetOrAdd((kind, line), FindDeclared);

    /// <summary>Notes a broken rule, once a line; the kernel goes on.</summary>
    public void Report(FaultKind kind, Warp warp, int line, uint lanes, string message)
    {
        lock (faults)
        {
            if (faults.Count < MostFaults && reported.Add((kind, line)) && !IsDeclared(kind, line))
                faults.Add(new Fault(kind, Program.Name, line, Instruction(line), ThreadName(warp, lanes), message));
        }
    }

    /// <summary>Notes a broken rule after which nothing can go on.</summary>
    public void Fail(FaultKind kind, Warp warp, int line, uint lanes, string message)
    {
        Report(kind, warp, line, lanes, message);
        IsStopped = true;
        throw new StoppedException();
    }

    public void Dispose()
    {
        Access.Dispose();
        NativeMemory.AlignedFree(parameters);
    }

    private bool FindDeclared((FaultKind Kind, int Line) at) => Options.Declared.Any(
        d => d.Kind == at.Kind && d.Kernel == Program.Name && HasInstruction(at.Line, d.Instruction));

    private string Instruction(int line) => line > 0 && line <= Program.Lines.Length ? Program.Lines[line - 1].Trim() : "";

    // A line may hold several, in braces, each under a guard.
    private bool HasInstruction(int line, string beginning)
    {
        foreach (string instruction in Instruction(line).Split("//")[0].Split(';'))
        {
            string bare = instruction.Trim(' ', '\t', '{', '}');
            int guard = bare.StartsWith('@') ? bare.IndexOfAny([' ', '\t']) : -1;
            if (bare[(guard + 1)..].TrimStart().StartsWith(beginning, StringComparison.Ordinal))
                return true;
        }

        return false;
    }

    private string ThreadName(Warp warp, uint lanes)
    {
        Group group = warp.Group;
        int lane = lanes == 0 ? 0 : System.Numerics.BitOperations.TrailingZeroCount(lanes);
        uint thread = (uint)warp.Thread(lane);
        return $"group ({group.X}, {group.Y}, {group.Z}) thread ({thread % Shape.GroupX}, {thread / Shape.GroupX % Shape.GroupY}, " +
            $"{thread / Shape.GroupX / Shape.GroupY})";
    }
}

/// <summary>Ends the work of one thread of the host at a fault that is noted.</summary>
internal sealed class StoppedException : Exception;
