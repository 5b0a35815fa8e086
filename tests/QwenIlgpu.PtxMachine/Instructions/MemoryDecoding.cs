using QwenIlgpu.PtxMachine.Numbers;

namespace QwenIlgpu.PtxMachine;

/// <summary>Spellings of what touches memory. PTX ISA, Data Movement, Parallel Synchronization and Communication Instructions.</summary>
internal static class MemoryDecoding
{
    private static readonly (string Type, int Bytes, bool IsSigned)[] Types =
    [
        ("b8", 1, false), ("u8", 1, false), ("s8", 1, true), ("b16", 2, false), ("u16", 2, false), ("s16", 2, true),
        ("b32", 4, false), ("u32", 4, false), ("s32", 4, true), ("f32", 4, false),
        ("b64", 8, false), ("u64", 8, false), ("s64", 8, true), ("f64", 8, false),
    ];

    public static void AddTo(Dictionary<string, Func<OperandReader, Instruction>> known)
    {
        foreach ((string type, int bytes, bool isSigned) in Types)
        {
            foreach ((string vector, int count) in ((string, int)[])[("", 1), (".v2", 2), (".v4", 4)])
            {
                if (bytes * count > 16)
                    continue;
                known[$"ld.param{vector}.{type}"] = r => new LoadParameter(
                    Registers(r, 0, bytes), r.ParameterOffset(1), bytes, isSigned);
                foreach (string modifiers in (string[])["", ".nc", ".nc.L1::no_allocate", ".nc.L2::128B"])
                    known[$"ld.global{modifiers}{vector}.{type}"] = r => Load(r, MemorySpace.Global, bytes, count, isSigned);
                known[$"st.global{vector}.{type}"] = r => Store(r, MemorySpace.Global, bytes, count);
                foreach (string shared in (string[])["shared", "shared::cta", "volatile.shared"])
                {
                    known[$"ld.{shared}{vector}.{type}"] = r => Load(r, MemorySpace.Shared, bytes, count, isSigned);
                    known[$"st.{shared}{vector}.{type}"] = r => Store(r, MemorySpace.Shared, bytes, count);
                }

                known[$"ld.global.nc.L1::no_allocate.L2::cache_hint{vector}.{type}"] = r => Load(r, MemorySpace.Global, bytes, count, isSigned);
            }
        }

        AddCopies(known);
        foreach (string hint in (string[])["prefetch.global.L2", "prefetch.global.L1"])
            known[hint] = _ => new Nothing();
        foreach (string policy in (string[])["evict_first", "evict_last"])
            known[$"createpolicy.fractional.L2::{policy}.b64"] = r => new Unary<ulong, Same<ulong>>(r.Result(SlotKind.Double), r.Constant(SlotKind.Double, 1));
        AddAtomics(known);
    }

    private static void AddCopies(Dictionary<string, Func<OperandReader, Instruction>> known)
    {
        foreach (string spelling in (string[])["cp.async.ca.shared.global", "cp.async.cg.shared.global"])
        {
            foreach (string hint in (string[])["", ".L2::cache_hint", ".L2::128B"])
                known[spelling + hint] = r => Copy(r, hasPolicy: hint == ".L2::cache_hint");
        }

        known["cp.async.commit_group"] = _ => new CommitCopies();
        known["cp.async.wait_group"] = r => new WaitForCopies((int)r.Number(0));
        known["cp.async.wait_all"] = _ => new WaitForCopies(null);
    }

    private static AsyncCopy Copy(OperandReader r, bool hasPolicy)
    {
        int bytes = (int)r.Number(2);
        Slot? sourceBytes = r.Count > (hasPolicy ? 4 : 3) ? r.Source(3, SlotKind.Word) : null;
        return new AsyncCopy(
            r.Site(MemorySpace.Shared, AccessKind.Write, bytes, sizeof(uint)), r.Address(0),
            r.Site(MemorySpace.Global, AccessKind.Read, bytes, SharedShadow.CopiedBytes), r.Address(1), sourceBytes);
    }

    private static Load Load(OperandReader r, MemorySpace space, int bytes, int count, bool isSigned)
    {
        AddressOperand address = r.Address(1);
        Slot[] registers = Registers(r, 0, bytes);
        return registers.Length == count
            ? new Load(r.Site(space, AccessKind.Read, bytes * count, bytes), address, registers, isSigned)
            : throw new PtxException(r.Statement.Line, $"{r.Statement.Opcode} into {registers.Length} registers");
    }

    private static Store Store(OperandReader r, MemorySpace space, int bytes, int count)
    {
        AddressOperand address = r.Address(0);
        Slot[] sources = [.. r.Vector(1).Select(o => o is Operand.Register(var slot)
            ? slot
            : r.Source(o, bytes switch { 8 => SlotKind.Double, 4 => SlotKind.Word, _ => SlotKind.Half }))];
        return sources.Length == count
            ? new Store(r.Site(space, AccessKind.Write, bytes * count, bytes), address, sources)
            : throw new PtxException(r.Statement.Line, $"{r.Statement.Opcode} of {sources.Length} registers");
    }

    // A register may be wider than what is loaded into it.
    private static Slot[] Registers(OperandReader r, int index, int bytes) => Array.ConvertAll(r.Vector(index), o =>
        o is Operand.Register(var slot) && Slot.BytesOf(slot.Kind) / Warp.Lanes is var width && (width >= bytes || (bytes <= 2 && slot.Kind == SlotKind.Half))
            ? slot
            : throw new PtxException(r.Statement.Line, $"{r.Statement.Opcode} into a register that is narrower than {bytes} bytes"));

    private static void AddAtomics(Dictionary<string, Func<OperandReader, Instruction>> known)
    {
        (string Spelling, MemoryOrder Order)[] orders =
        [
            ("", MemoryOrder.Relaxed), (".relaxed", MemoryOrder.Relaxed), (".acquire", MemoryOrder.Acquire),
            (".release", MemoryOrder.Release), (".acq_rel", MemoryOrder.Acquire | MemoryOrder.Release),
        ];
        foreach ((string spelling, MemoryOrder order) in orders)
        {
            foreach (string scope in (string[])["", ".cta", ".gpu", ".sys"])
            {
                foreach (MemorySpace space in Enum.GetValues<MemorySpace>())
                    AddAtomics(known, $"{spelling}{scope}", space, order);
            }
        }

        foreach (string type in (string[])["b32", "u32", "s32"])
        {
            foreach ((string spelling, MemoryOrder order) in ((string, MemoryOrder)[])[
                ("acquire.gpu", MemoryOrder.Acquire), ("relaxed.gpu", MemoryOrder.Relaxed), ("volatile", MemoryOrder.Relaxed)])
            {
                known[$"ld.{spelling}.global.{type}"] = r => new Atomic(
                    r.Site(MemorySpace.Global, AccessKind.Atomic, 4, 4), r.Address(1), r.Result(SlotKind.Word), r.Constant(SlotKind.Word, 0),
                    r.Constant(SlotKind.Word, 0), order, (old, _, _) => old);
            }

            known[$"st.release.gpu.global.{type}"] = r => new Atomic(
                r.Site(MemorySpace.Global, AccessKind.Atomic, 4, 4), r.Address(0), null, r.Source(1, SlotKind.Word),
                r.Constant(SlotKind.Word, 0), MemoryOrder.Release, (_, b, _) => b);
        }

        foreach (string fence in (string[])["fence.acq_rel.gpu", "fence.acq_rel.sys", "fence.sc.gpu", "membar.gl", "membar.sys"])
            known[fence] = _ => new Fence();
        foreach (string fence in (string[])["fence.acq_rel.cta", "membar.cta"])
            known[fence] = _ => new Nothing();
    }

    private static void AddAtomics(Dictionary<string, Func<OperandReader, Instruction>> known, string modifiers, MemorySpace space, MemoryOrder order)
    {
        string place = space == MemorySpace.Global ? "global" : "shared";
        foreach (string type in (string[])["s32", "u32", "b32", "u64", "s64", "b64", "f32"])
        {
            foreach ((string name, AtomicOperation operation) in AtomicOperations.Of(type))
            {
                // Both orders are written: the space before the order's scope, and behind it.
                foreach (string middle in (string[])[$"{modifiers}.{place}", $".{place}{modifiers}"])
                {
                    known[$"atom{middle}.{name}.{type}"] = r => Atomic(r, space, order, type, operation, hasResult: true);
                    known[$"red{middle}.{name}.{type}"] = r => Atomic(r, space, order, type, operation, hasResult: false);
                }
            }
        }
    }

    private static Atomic Atomic(OperandReader r, MemorySpace space, MemoryOrder order, string type, AtomicOperation operation, bool hasResult)
    {
        int bytes = type.EndsWith("64", StringComparison.Ordinal) ? 8 : 4;
        SlotKind kind = bytes == 8 ? SlotKind.Double : SlotKind.Word;
        int first = hasResult ? 1 : 0;
        Slot b = r.Source(first + 1, kind);
        Slot c = r.Count > first + 2 ? r.Source(first + 2, kind) : b;
        return new Atomic(r.Site(space, AccessKind.Atomic, bytes, bytes), r.Address(first), hasResult ? r.Result(kind) : null, b, c, order, operation);
    }
}

/// <summary>What atomics do, by the type they are spelled with.</summary>
internal static class AtomicOperations
{
    public static IEnumerable<(string Name, AtomicOperation Operation)> Of(string type)
    {
        if (type == "f32")
            return [("add", (old, b, _) => Bits(ToFloat(old) + ToFloat(b)))];
        if (type[0] == 'b')
        {
            return
            [
                ("and", (old, b, _) => old & b), ("or", (old, b, _) => old | b), ("xor", (old, b, _) => old ^ b),
                ("exch", (_, b, _) => b), ("cas", (old, b, c) => old == b ? c : old),
            ];
        }

        return
        [
            ("add", (old, b, _) => old + b), .. type switch
            {
                "s32" => ((string, AtomicOperation)[])[
                    ("min", (old, b, _) => (uint)Math.Min((int)old, (int)b)), ("max", (old, b, _) => (uint)Math.Max((int)old, (int)b))],
                "s64" => [("min", (old, b, _) => (ulong)Math.Min((long)old, (long)b)), ("max", (old, b, _) => (ulong)Math.Max((long)old, (long)b))],
                _ => [
                    ("min", (old, b, _) => Math.Min(old, b)), ("max", (old, b, _) => Math.Max(old, b)),
                    ("inc", (old, b, _) => old >= b ? 0 : old + 1), ("dec", (old, b, _) => old == 0 || old > b ? b : old - 1)],
            },
        ];
    }

    private static uint Bits(float value) => float.IsNaN(value) ? CanonicalNaN.Single : BitConverter.SingleToUInt32Bits(value);

    private static float ToFloat(ulong bits) => BitConverter.UInt32BitsToSingle((uint)bits);
}
