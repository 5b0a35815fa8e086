namespace QwenIlgpu.PtxMachine;

/// <summary>
/// Follows pointers through an entry: which operands' pointers, or which shared arrays, the address of each site may be made from. A result
/// is made from what its sources are made from; what is loaded from memory is made from nothing.
/// </summary>
internal sealed class AddressOrigins(EntryText entry, SharedLayout shared, IReadOnlyDictionary<int, int> views)
{
    // Bits of a mask: pointers from below, shared arrays from above.
    private const int MostOrigins = 64;

    private readonly List<PointerOrigin> pointers = [];

    public IReadOnlyList<PointerOrigin> Pointers => pointers;

    public void Find(List<int> starts, Block[] blocks, List<AccessSite> sites)
    {
        ILookup<int, AccessSite> byLine = sites.ToLookup(s => s.Line);
        var atStart = new ulong[]?[blocks.Length];
        atStart[0] = new ulong[entry.Slots.Count];
        var open = new Queue<int>([0]);
        while (open.TryDequeue(out int block))
        {
            ulong[] state = (ulong[])atStart[block]!.Clone();
            int end = block + 1 < starts.Count ? starts[block + 1] : entry.Statements.Count;
            for (int i = starts[block]; i < end; i++)
                Pass(entry.Statements[i], state, byLine);
            foreach (int successor in blocks[block].Exit.Successors.Where(s => s != Program.End))
            {
                if (Join(ref atStart[successor], state))
                    open.Enqueue(successor);
            }
        }
    }

    private static bool Join(ref ulong[]? target, ulong[] state)
    {
        if (target is null)
        {
            target = (ulong[])state.Clone();
            return true;
        }

        bool changed = false;
        for (int i = 0; i < state.Length; i++)
        {
            changed |= (target[i] | state[i]) != target[i];
            target[i] |= state[i];
        }

        return changed;
    }

    private void Pass(Statement statement, ulong[] state, ILookup<int, AccessSite> byLine)
    {
        string family = statement.Parts[0];
        IReadOnlyList<Operand> operands = statement.Operands;
        foreach (AccessSite site in byLine[statement.Line])
        {
            Operand.Address[] addresses = [.. operands.OfType<Operand.Address>()];
            if (addresses.Length > 0)
                site.Origins |= OriginsOf(site.Space == MemorySpace.Shared ? addresses[0] : addresses[^1], state);
        }

        if (operands.Count == 0 || family is "st" or "red" or "cp" or "bar" or "bra" or "brx" or "ret" or "prefetch" or "setp")
            return;
        ulong made = family switch
        {
            "ld" when statement.Parts[1] == "param" => Pointer(statement),
            "ld" or "ldmatrix" or "atom" => 0,
            _ => operands.Skip(1).Aggregate(0ul, (all, o) => all | OriginsOf(o, state)),
        };
        foreach (Slot slot in operands[0].Registers)
            state[slot.Index] = statement.Guard is null ? made : state[slot.Index] | made;
    }

    private ulong OriginsOf(Operand operand, ulong[] state) => operand switch
    {
        Operand.Register(var slot) => state[slot.Index],
        Operand.Address(var at, _) => OriginsOf(at, state),
        Operand.Vector(var elements) => elements.Aggregate(0ul, (all, e) => all | OriginsOf(e, state)),
        Operand.Name(var name) when shared.IndexOf(name) is var array and >= 0 => 1ul << array,
        _ => 0,
    };

    // A shared array and a pointer may have the same bit: a site is of one space, and nothing mixes the two.
    private ulong Pointer(Statement statement)
    {
        if (statement.Parts[^1] is not ("b64" or "u64" or "s64") || statement.Operands[1] is not Operand.Address(Operand.Name(var name), var offset))
            return 0;
        int place = entry.Parameters[name] + (int)offset;
        if (views.Count > 0 && !views.ContainsKey(place))
            return 0;
        int index = pointers.FindIndex(p => p.ParameterOffset == place);
        if (index < 0)
        {
            index = pointers.Count;
            if (index == MostOrigins)
                throw new PtxException(statement.Line, $"more than {MostOrigins} pointers among the parameters of {entry.Name}");
            pointers.Add(new PointerOrigin(place, views.GetValueOrDefault(place)));
        }

        return 1ul << index;
    }
}
