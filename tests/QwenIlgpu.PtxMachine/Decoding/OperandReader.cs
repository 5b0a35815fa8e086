namespace QwenIlgpu.PtxMachine;

/// <summary>Gives the operands of one statement as registers of the width that its instruction wants, and its sites.</summary>
internal sealed class OperandReader(Statement statement, EntryText entry, SharedLayout shared, List<AccessSite> sites)
{
    public Statement Statement { get; } = statement;

    public int Count => Statement.Operands.Count;

    public Operand this[int index] => index < Count
        ? Statement.Operands[index]
        : throw new PtxException(Statement.Line, $"{Statement.Opcode} has {Count} operands, one fewer than it needs");

    /// <summary>Operand <paramref name="index"/>: a register of this kind, or a number as a constant of it.</summary>
    public Slot Source(int index, SlotKind kind) => Source(this[index], kind);

    public Slot Source(Operand operand, SlotKind kind) => operand switch
    {
        Operand.Register(var slot) when slot.Kind == kind => slot,

        // A number of bits may be read from a wider register; its lower ones are meant.
        Operand.Register(var slot) when kind == SlotKind.Half && slot.Kind == SlotKind.Word => slot,
        Operand.Immediate(var bits, _, _) => entry.Slots.Constant(kind, bits),
        Operand.Name(var name) when shared.IndexOf(name) is var array and >= 0 => entry.Slots.Constant(kind, (ulong)shared.Places[array].Offset),
        Operand.Name(var name) => throw new PtxException(Statement.Line, $"'{name}' is no register, no number and no shared array"),
        _ => throw new PtxException(Statement.Line, $"an operand of {Statement.Opcode} is no {kind} register or number"),
    };

    /// <summary>Operand 0: the result.</summary>
    public Slot Result(SlotKind kind) => Register(this[0], kind);

    public Slot Register(Operand operand, SlotKind kind) => operand is Operand.Register(var slot) && slot.Kind == kind
        ? slot
        : throw new PtxException(Statement.Line, $"the result of {Statement.Opcode} goes to a {kind} register");

    /// <summary>The registers of operand <paramref name="index"/>, in braces or alone.</summary>
    public Operand[] Vector(int index) => this[index] is Operand.Vector(var elements) ? [.. elements] : [this[index]];

    public Slot Constant(SlotKind kind, ulong bits) => entry.Slots.Constant(kind, bits);

    /// <summary>The address of operand <paramref name="index"/>.</summary>
    public AddressOperand Address(int index)
    {
        if (this[index] is not Operand.Address(var at, var offset))
            throw new PtxException(Statement.Line, $"operand {index} of {Statement.Opcode} is no address");
        Slot register = at switch
        {
            Operand.Register(var slot) when slot.Kind is SlotKind.Word or SlotKind.Double => slot,
            _ => Source(at, SlotKind.Double),
        };
        return new AddressOperand(register, offset);
    }

    /// <summary>Where a parameter lies in the buffer.</summary>
    public int ParameterOffset(int index) =>
        this[index] is Operand.Address(Operand.Name(var name), var offset) && entry.Parameters.TryGetValue(name, out int start)
            ? start + (int)offset
            : throw new PtxException(Statement.Line, $"operand {index} of {Statement.Opcode} is no parameter of {entry.Name}");

    public ulong Number(int index) => this[index] is Operand.Immediate(var bits, false, _)
        ? bits
        : throw new PtxException(Statement.Line, $"operand {index} of {Statement.Opcode} must be a number");

    public AccessSite Site(MemorySpace space, AccessKind kind, int bytes, int elementBytes)
    {
        var site = new AccessSite(sites.Count, Statement.Line, space, kind, bytes, elementBytes);
        sites.Add(site);
        return site;
    }
}
