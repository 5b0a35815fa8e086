namespace QwenIlgpu.PtxMachine;

/// <summary>Every spelling that the machine knows, each with what makes an instruction of its operands.</summary>
internal static class InstructionSet
{
    private static readonly Dictionary<string, Func<OperandReader, Instruction>> Known = All();

    /// <summary>The spellings, branches aside.</summary>
    public static IReadOnlyCollection<string> Spellings => Known.Keys;

    /// <exception cref="PtxException">The spelling is unknown, or an operand is none that it takes.</exception>
    public static Instruction Decode(OperandReader operands)
    {
        Statement statement = operands.Statement;
        if (!Known.TryGetValue(statement.Opcode, out Func<OperandReader, Instruction>? make))
            throw statement.Unknown();
        Instruction instruction = make(operands);
        instruction.Line = statement.Line;
        instruction.Class = ClassOf(statement);
        if (statement.Guard is not { } guard)
            return instruction;
        return new Guarded(instruction, guard, statement.GuardIsNegated) { Line = statement.Line, Class = instruction.Class };
    }

    private static Dictionary<string, Func<OperandReader, Instruction>> All()
    {
        var known = new Dictionary<string, Func<OperandReader, Instruction>>();
        Moves.AddTo(known);
        IntegerInstructions.AddTo(known);
        FloatInstructions.AddTo(known);
        Comparisons.AddTo(known);
        Conversions.AddTo(known);
        MemoryDecoding.AddTo(known);
        WarpDecoding.AddTo(known);
        return known;
    }

    private static InstructionClass ClassOf(Statement statement)
    {
        string[] parts = statement.Parts;
        bool isFloat = parts[^1] is "f32" or "f64" or "f16x2" or "bf16x2";
        return parts[0] switch
        {
            "mov" => InstructionClass.Move,
            "cvt" or "cvta" => InstructionClass.Conversion,
            "ex2" or "lg2" or "rcp" or "rsqrt" or "sqrt" or "sin" or "cos" or "tanh" => InstructionClass.Special,
            "ld" or "st" or "prefetch" or "createpolicy" => parts.Contains("param") ? InstructionClass.Parameter
                : parts.Contains("shared") ? InstructionClass.Shared : InstructionClass.Global,
            "cp" => InstructionClass.Global,
            "ldmatrix" => InstructionClass.Shared,
            "mma" => InstructionClass.Matrix,
            "shfl" or "vote" => InstructionClass.Shuffle,
            "bar" or "barrier" => InstructionClass.Barrier,
            "atom" or "red" or "fence" or "membar" => InstructionClass.Atomic,
            _ => isFloat ? InstructionClass.Real : InstructionClass.Whole,
        };
    }
}
