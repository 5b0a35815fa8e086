namespace QwenIlgpu.PtxMachine;

/// <summary>A decoded entry: its blocks, the places of its registers and shared arrays, and every site that touches memory.</summary>
internal sealed class Program
{
    /// <summary>The block that stands for the end; it is no index into <see cref="Blocks"/>.</summary>
    public const int End = int.MaxValue;

    public required EntryText Entry { get; init; }

    public required Block[] Blocks { get; init; }

    public required IReadOnlyList<AccessSite> Sites { get; init; }

    public required SharedLayout Shared { get; init; }

    /// <summary>Operands whose pointers the entry loads, by the bit that <see cref="AccessSite.Origins"/> has for them.</summary>
    public required IReadOnlyList<PointerOrigin> Pointers { get; init; }

    /// <summary>The lines of the text.</summary>
    public required string[] Lines { get; init; }

    public string Name => Entry.Name;
}

/// <summary>Instructions without a branch, and the branch behind them.</summary>
internal sealed class Block
{
    public required Instruction[] Body { get; init; }

    public required Terminator Exit { get; init; }

    /// <summary>Where lanes that part at the exit come together again.</summary>
    public int Reconverge { get; set; } = Program.End;
}

/// <summary>How a block ends.</summary>
internal abstract record Terminator(int Line)
{
    public abstract IEnumerable<int> Successors { get; }

    public sealed record Jump(int Line, int Target) : Terminator(Line)
    {
        public override IEnumerable<int> Successors => [Target];
    }

    /// <summary>To <paramref name="Target"/> where the predicate (negated) is true, else to <paramref name="Next"/>.</summary>
    public sealed record Branch(int Line, Slot Predicate, bool IsNegated, int Target, int Next) : Terminator(Line)
    {
        public override IEnumerable<int> Successors => [Target, Next];
    }

    public sealed record Indexed(int Line, Slot Index, int[] Targets) : Terminator(Line)
    {
        public override IEnumerable<int> Successors => Targets;
    }
}

/// <summary>Where a pointer comes from: an operand's place in the parameter buffer, with its element's size where it is a view.</summary>
internal sealed record PointerOrigin(int ParameterOffset, int ViewElementBytes);

/// <summary>The memory that a site names.</summary>
internal enum MemorySpace
{
    Global,
    Shared,
}

/// <summary>What a site does with memory.</summary>
internal enum AccessKind
{
    Read,
    Write,
    Atomic,
}

/// <summary>One operand of one instruction that names memory.</summary>
internal sealed class AccessSite(int index, int line, MemorySpace space, AccessKind kind, int bytes, int elementBytes)
{
    public int Index { get; } = index;

    public int Line { get; } = line;

    public MemorySpace Space { get; } = space;

    public AccessKind Kind { get; } = kind;

    /// <summary>Bytes of one lane.</summary>
    public int Bytes { get; } = bytes;

    /// <summary>What the address of a lane must be a multiple of.</summary>
    public int AlignmentBytes { get; private init; } = bytes;

    /// <summary>Bytes of one register of a vector.</summary>
    public int ElementBytes { get; } = elementBytes;

    /// <summary>Bits of the pointers (global) or arrays (shared) that the address may be made from; 0: unknown.</summary>
    public ulong Origins { get; set; }

    /// <summary>The same site where lanes touch only their first bytes.</summary>
    public AccessSite First(int count) => new(Index, Line, Space, Kind, count, ElementBytes) { AlignmentBytes = AlignmentBytes, Origins = Origins };
}

/// <summary>A group's shared memory: static arrays one behind the other, the dynamic ones at their end.</summary>
internal sealed class SharedLayout
{
    private readonly List<(SharedArray Array, int Offset)> places = [];

    public SharedLayout(IEnumerable<SharedArray> arrays)
    {
        foreach (SharedArray array in arrays.Where(a => !a.IsDynamic))
        {
            StaticBytes = Align(StaticBytes, array.AlignmentBytes);
            places.Add((array, StaticBytes));
            StaticBytes += array.Bytes;
        }

        foreach (SharedArray array in arrays.Where(a => a.IsDynamic))
        {
            DynamicOffset = Align(StaticBytes, Math.Max(array.AlignmentBytes, 16));
            places.Add((array, DynamicOffset));
        }
    }

    public int StaticBytes { get; }

    public int DynamicOffset { get; }

    public IReadOnlyList<(SharedArray Array, int Offset)> Places => places;

    public int IndexOf(string name) => places.FindIndex(p => p.Array.Name == name);

    public int TotalBytes(int dynamicBytes) => dynamicBytes > 0 ? Math.Max(StaticBytes, DynamicOffset) + dynamicBytes : StaticBytes;

    private static int Align(int offset, int alignment) => (offset + alignment - 1) / alignment * alignment;
}
