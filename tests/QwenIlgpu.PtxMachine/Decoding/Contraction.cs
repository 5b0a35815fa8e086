namespace QwenIlgpu.PtxMachine;

/// <summary>
/// What an assembler may do with arithmetic that names no rounding (PTX ISA, <c>add</c>: without a modifier it may be optimised aggressively,
/// mul/add sequences into fused operations): a product that goes into a sum of its block is not rounded.
/// </summary>
internal sealed class Contraction
{
    private readonly Dictionary<Slot, (Operand A, Operand B)> products = [];

    /// <summary>The statement as it is, or as a fused one.</summary>
    public Statement Pass(Statement statement)
    {
        Statement passed = Fused(statement) ?? statement;
        foreach (Slot written in statement.Operands.Take(1).SelectMany(o => o.Registers))
        {
            products.Remove(written);
            foreach (Slot product in products.Where(p => Reads(p.Value.A, written) || Reads(p.Value.B, written)).Select(p => p.Key).ToArray())
                products.Remove(product);
        }

        if (statement is { Guard: null, Opcode: "mul.f32", Operands: [Operand.Register(var d), var a, var b] } && !Reads(a, d) && !Reads(b, d))
            products[d] = (a, b);
        return passed;
    }

    private Statement? Fused(Statement statement)
    {
        if (statement is not { Opcode: "add.f32", Operands: [var d, var x, var y] })
            return null;
        if (x is Operand.Register(var left) && products.TryGetValue(left, out (Operand A, Operand B) first))
            return statement with { Opcode = "fma.rn.f32", Operands = [d, first.A, first.B, y] };
        if (y is Operand.Register(var right) && products.TryGetValue(right, out (Operand A, Operand B) second))
            return statement with { Opcode = "fma.rn.f32", Operands = [d, second.A, second.B, x] };
        return null;
    }

    private static bool Reads(Operand operand, Slot slot) => operand is Operand.Register(var register) && register == slot;
}
