namespace QwenIlgpu.PtxMachine;

/// <summary>Spellings of what a warp or a group does together. PTX ISA, Parallel Synchronization and Communication; Warp-level Matrix Instructions.</summary>
internal static class WarpDecoding
{
    public static void AddTo(Dictionary<string, Func<OperandReader, Instruction>> known)
    {
        foreach ((string name, ShuffleMode mode) in ((string, ShuffleMode)[])[
            ("up", ShuffleMode.Up), ("down", ShuffleMode.Down), ("bfly", ShuffleMode.Butterfly), ("idx", ShuffleMode.Index)])
        {
            known[$"shfl.sync.{name}.b32"] = r => Shuffle(r, mode);
        }

        foreach (string barrier in (string[])["bar.sync", "barrier.sync", "barrier.sync.aligned", "bar.cta.sync", "barrier.cta.sync.aligned"])
            known[barrier] = r => r.Count == 1 ? new Barrier((int)r.Number(0)) : throw new PtxException(r.Statement.Line, "a barrier of part of a group");
        known["bar.warp.sync"] = r => new WarpBarrier(r.Source(0, SlotKind.Word));
        foreach (string mode in (string[])["all", "any", "uni"])
            known[$"vote.sync.{mode}.pred"] = r => new Vote(mode, r.Result(SlotKind.Predicate), r.Source(1, SlotKind.Predicate), false, r.Source(2, SlotKind.Word));
        known["vote.sync.ballot.b32"] = r => new Vote("ballot", r.Result(SlotKind.Word), r.Source(1, SlotKind.Predicate), false, r.Source(2, SlotKind.Word));
        foreach ((string count, int matrices) in ((string, int)[])[("x1", 1), ("x2", 2), ("x4", 4)])
        {
            foreach (string space in (string[])["shared", "shared::cta"])
            {
                known[$"ldmatrix.sync.aligned.m8n8.{count}.{space}.b16"] = r => LoadMatrix(r, matrices, isTransposed: false);
                known[$"ldmatrix.sync.aligned.m8n8.{count}.trans.{space}.b16"] = r => LoadMatrix(r, matrices, isTransposed: true);
            }
        }

        known["mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"] = r => Multiply(r, isBf16: false, isTf32: false);
        known["mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"] = r => Multiply(r, isBf16: true, isTf32: false);
        known["mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"] = r => Multiply(r, isBf16: false, isTf32: true);

        // Launches run one after another here, so what a launch waits for has ended.
        known["griddepcontrol.wait"] = _ => new Nothing();
        known["griddepcontrol.launch_dependents"] = _ => new Nothing();
    }

    private static Shuffle Shuffle(OperandReader r, ShuffleMode mode)
    {
        Operand result = r[0];
        Slot? found = null;
        if (result is Operand.Pair(var value, var predicate))
        {
            result = value;
            found = r.Register(predicate, SlotKind.Predicate);
        }

        return new Shuffle(
            mode, r.Register(result, SlotKind.Word), found, r.Source(1, SlotKind.Word), r.Source(2, SlotKind.Word), r.Source(3, SlotKind.Word),
            r.Source(4, SlotKind.Word));
    }

    private static LoadMatrix LoadMatrix(OperandReader r, int matrices, bool isTransposed) => new(
        r.Site(MemorySpace.Shared, AccessKind.Read, 16, sizeof(uint)), r.Address(1), Words(r, 0, matrices), isTransposed);

    private static MatrixMultiply Multiply(OperandReader r, bool isBf16, bool isTf32) =>
        new(Words(r, 0, 4), Words(r, 1, 4), Words(r, 2, 2), Words(r, 3, 4), isBf16, isTf32);

    private static Slot[] Words(OperandReader r, int index, int count)
    {
        Operand[] operands = r.Vector(index);
        return operands.Length == count
            ? [.. operands.Select(o => r.Source(o, SlotKind.Word))]
            : throw new PtxException(r.Statement.Line, $"operand {index} of {r.Statement.Opcode} has {operands.Length} registers instead of {count}");
    }
}
