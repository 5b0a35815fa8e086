namespace QwenIlgpu.PtxMachine;

/// <summary><c>mov</c>, and logic on predicates. PTX ISA, Data Movement and Conversion Instructions.</summary>
internal static class Moves
{
    public static void AddTo(Dictionary<string, Func<OperandReader, Instruction>> known)
    {
        foreach (string type in (string[])["b32", "u32", "s32", "f32"])
            known[$"mov.{type}"] = r => Move(r, SlotKind.Word);
        foreach (string type in (string[])["b64", "u64", "s64", "f64"])
            known[$"mov.{type}"] = r => Move(r, SlotKind.Double);
        foreach (string type in (string[])["b16", "u16", "s16"])
            known[$"mov.{type}"] = r => Move(r, SlotKind.Half);
        known["mov.pred"] = r => new PredicateLogic(r, PredicateOperation.Copy);
        known["not.pred"] = r => new PredicateLogic(r, PredicateOperation.Not);
        known["and.pred"] = r => new PredicateLogic(r, PredicateOperation.And);
        known["or.pred"] = r => new PredicateLogic(r, PredicateOperation.Or);
        known["xor.pred"] = r => new PredicateLogic(r, PredicateOperation.Xor);
    }

    private static Instruction Move(OperandReader r, SlotKind kind)
    {
        if (r[0] is Operand.Vector(var parts))
            return new Unpack([.. parts.Select(p => r.Register(p, HalfOf(kind, r)))], r.Source(1, kind));
        if (r[1] is Operand.Vector(var sources))
            return new Pack(r.Result(kind), [.. sources.Select(s => r.Source(s, HalfOf(kind, r)))]);
        return kind == SlotKind.Double
            ? new Unary<ulong, Same<ulong>>(r.Result(kind), r.Source(1, kind))
            : new Unary<uint, Same<uint>>(r.Result(kind), r.Source(1, kind));
    }

    private static SlotKind HalfOf(SlotKind kind, OperandReader r) => kind switch
    {
        SlotKind.Word => SlotKind.Half,
        SlotKind.Double => SlotKind.Word,
        _ => throw r.Statement.Unknown(),
    };
}

/// <summary>A register as its two halves, the lower one first.</summary>
internal sealed unsafe class Unpack(Slot[] parts, Slot source) : Instruction
{
    public override void Execute(Warp warp)
    {
        uint undefined = warp.Undefined(source);
        uint* values = stackalloc uint[Warp.Lanes];
        for (int part = 0; part < parts.Length; part++)
        {
            for (int lane = 0; lane < Warp.Lanes; lane++)
            {
                values[lane] = source.Kind == SlotKind.Double
                    ? (uint)(warp.Lane<ulong>(source)[lane] >> (32 * part))
                    : (ushort)(warp.Lane<uint>(source)[lane] >> (16 * part));
            }

            Registers.Store(warp.Lane<uint>(parts[part]), values, warp.Active);
            warp.SetUndefined(parts[part], undefined);
        }
    }
}

/// <summary>A register of two halves, the lower one first.</summary>
internal sealed unsafe class Pack(Slot d, Slot[] parts) : Instruction
{
    public override void Execute(Warp warp)
    {
        uint* low = warp.Lane<uint>(parts[0]);
        uint* high = warp.Lane<uint>(parts[1]);
        if (d.Kind == SlotKind.Double)
        {
            ulong* doubles = stackalloc ulong[Warp.Lanes];
            for (int lane = 0; lane < Warp.Lanes; lane++)
                doubles[lane] = low[lane] | ((ulong)high[lane] << 32);
            Registers.Store(warp.Lane<ulong>(d), doubles, warp.Active);
        }
        else
        {
            uint* words = stackalloc uint[Warp.Lanes];
            for (int lane = 0; lane < Warp.Lanes; lane++)
                words[lane] = (ushort)low[lane] | (high[lane] << 16);
            Registers.Store(warp.Lane<uint>(d), words, warp.Active);
        }

        warp.SetUndefined(d, warp.Undefined(parts[0]) | warp.Undefined(parts[1]));
    }
}

internal enum PredicateOperation
{
    Copy,
    Not,
    And,
    Or,
    Xor,
}

/// <summary>Predicates, 32 lanes in a word.</summary>
internal sealed class PredicateLogic(OperandReader r, PredicateOperation operation) : Instruction
{
    private readonly Slot d = r.Result(SlotKind.Predicate);
    private readonly Slot a = r.Source(1, SlotKind.Predicate);
    private readonly Slot b = r.Source(operation is PredicateOperation.Copy or PredicateOperation.Not ? 1 : 2, SlotKind.Predicate);

    public override void Execute(Warp warp)
    {
        uint left = warp.Predicate(a);
        uint right = warp.Predicate(b);
        uint undefined = warp.Undefined(a) | warp.Undefined(b);

        // What one operand decides alone does not depend on the other.
        if (operation == PredicateOperation.And)
            undefined &= ~((~left & ~warp.Undefined(a)) | (~right & ~warp.Undefined(b)));
        else if (operation == PredicateOperation.Or)
            undefined &= ~((left & ~warp.Undefined(a)) | (right & ~warp.Undefined(b)));
        warp.SetPredicate(d, operation switch
        {
            PredicateOperation.Copy => left,
            PredicateOperation.Not => ~left,
            PredicateOperation.And => left & right,
            PredicateOperation.Or => left | right,
            _ => left ^ right,
        });
        warp.SetUndefined(d, undefined);
    }
}
