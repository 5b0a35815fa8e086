namespace QwenIlgpu.PtxMachine;

/// <summary>One instruction of an entry's body as it is written, its names resolved.</summary>
/// <param name="Line">From 1.</param>
/// <param name="Guard">The predicate that it stands under, or null.</param>
/// <param name="GuardIsNegated">Whether it runs where the predicate is false.</param>
/// <param name="Opcode">With all its modifiers.</param>
/// <param name="Operands">In the order of the text.</param>
internal sealed record Statement(int Line, Slot? Guard, bool GuardIsNegated, string Opcode, IReadOnlyList<Operand> Operands)
{
    /// <summary>The opcode's parts: <c>ld</c>, <c>global</c>, <c>f32</c>.</summary>
    public string[] Parts { get; } = Opcode.Split('.');

    public PtxException Unknown() => new(Line, $"the machine does not know the instruction {Opcode}");
}

/// <summary>What an instruction works on.</summary>
internal abstract record Operand
{
    /// <summary>The registers that a result in this operand goes to.</summary>
    public IEnumerable<Slot> Registers => this switch
    {
        Register(var slot) => [slot],
        Vector(var elements) => elements.SelectMany(e => e.Registers),
        Pair(var first, var second) => [.. first.Registers, .. second.Registers],
        _ => [],
    };

    /// <summary>A register or a special register.</summary>
    public sealed record Register(Slot Slot) : Operand;

    /// <summary>A number: the bits of an integer as 64 of them, of a float as 32, of a double as 64.</summary>
    public sealed record Immediate(ulong Bits, bool IsFloat, bool IsDouble) : Operand;

    /// <summary>The name of a shared array, of a parameter or of a label.</summary>
    public sealed record Name(string Text) : Operand;

    /// <summary>Memory at a register or at a name.</summary>
    public sealed record Address(Operand Base, long OffsetBytes) : Operand;

    /// <summary>Several in braces.</summary>
    public sealed record Vector(IReadOnlyList<Operand> Elements) : Operand;

    /// <summary>A result and a predicate: <c>%r1|%p1</c>.</summary>
    public sealed record Pair(Operand First, Operand Second) : Operand;
}

/// <summary>A block's list of labels: <c>.branchtargets</c>.</summary>
internal sealed record BranchTargets(IReadOnlyList<string> Labels);
