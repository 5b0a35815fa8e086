namespace QwenIlgpu.PtxMachine;

/// <summary>What a register holds for each of the 32 lanes.</summary>
internal enum SlotKind
{
    /// <summary>One bit a lane, 32 in one word.</summary>
    Predicate,

    /// <summary>8 or 16 bits, in a word whose upper half is zero.</summary>
    Half,

    /// <summary>A word a lane.</summary>
    Word,

    /// <summary>Two words a lane.</summary>
    Double,
}

/// <summary>A register's place in a warp's file: <see cref="OffsetBytes"/> of its lanes, <see cref="Index"/> of its mask of undefined lanes.</summary>
internal readonly record struct Slot(SlotKind Kind, int Index, int OffsetBytes)
{
    public static int BytesOf(SlotKind kind) => kind switch
    {
        SlotKind.Predicate => 4,
        SlotKind.Double => 256,
        _ => 128,
    };
}

/// <summary>Gives registers and constants their places; what a scope declares is given back at its end.</summary>
internal sealed class SlotPlan
{
    private const int Alignment = 64;

    private readonly Dictionary<(SlotKind Kind, ulong Bits), Slot> constants = [];
    private readonly Dictionary<string, Slot> specials = [];
    private readonly Dictionary<SlotKind, Stack<Slot>> free = [];
    private int indices;
    private int bytes;

    /// <summary>Bytes of a warp's file.</summary>
    public int Bytes => bytes;

    /// <summary>Masks of undefined lanes.</summary>
    public int Count => indices;

    public IEnumerable<(Slot Slot, ulong Bits)> Constants => constants.Select(c => (c.Value, c.Key.Bits));

    /// <summary>Registers that the hardware fills, by name: <c>%tid.x</c>.</summary>
    public IReadOnlyDictionary<string, Slot> Specials => specials;

    public Slot Declare(SlotKind kind) =>
        free.TryGetValue(kind, out Stack<Slot>? left) && left.Count > 0 ? left.Pop() : Allocate(kind);

    public void GiveBack(Slot slot)
    {
        if (!free.TryGetValue(slot.Kind, out Stack<Slot>? left))
            free.Add(slot.Kind, left = []);
        left.Push(slot);
    }

    public Slot Constant(SlotKind kind, ulong bits)
    {
        bits = kind switch
        {
            SlotKind.Predicate => bits != 0 ? uint.MaxValue : 0,
            SlotKind.Half => (ushort)bits,
            SlotKind.Word => (uint)bits,
            _ => bits,
        };
        if (!constants.TryGetValue((kind, bits), out Slot slot))
            constants.Add((kind, bits), slot = Allocate(kind));
        return slot;
    }

    public Slot Special(string name)
    {
        if (!specials.TryGetValue(name, out Slot slot))
            specials.Add(name, slot = Allocate(SlotKind.Word));
        return slot;
    }

    private Slot Allocate(SlotKind kind)
    {
        int size = Slot.BytesOf(kind);
        if (size > Alignment)
            bytes = (bytes + Alignment - 1) / Alignment * Alignment;
        var slot = new Slot(kind, indices++, bytes);
        bytes += size;
        return slot;
    }
}
