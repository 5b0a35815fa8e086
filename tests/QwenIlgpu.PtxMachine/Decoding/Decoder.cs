namespace QwenIlgpu.PtxMachine;

/// <summary>Makes a program of an entry's statements: blocks, instructions, where lanes meet, and what each address is made from.</summary>
internal sealed class Decoder
{
    private readonly EntryText entry;
    private readonly SharedLayout shared;
    private readonly bool contracts;
    private readonly List<AccessSite> sites = [];

    // Statements at which a block begins, in order; a block's number is its place here.
    private readonly List<int> starts;

    private Decoder(EntryText entry, bool contracts)
    {
        this.entry = entry;
        this.contracts = contracts;
        shared = new SharedLayout(entry.Shared.Values);
        var leaders = new SortedSet<int> { 0 };
        foreach (int statement in entry.Labels.Values)
            leaders.Add(statement);
        for (int i = 0; i < entry.Statements.Count; i++)
        {
            if (IsBranch(entry.Statements[i]))
                leaders.Add(i + 1);
        }

        leaders.Remove(entry.Statements.Count);
        starts = [.. leaders];
    }

    public static Program Decode(EntryText entry, string[] lines, IReadOnlyDictionary<int, int> views, bool contracts)
    {
        var decoder = new Decoder(entry, contracts);
        Block[] blocks = [.. decoder.starts.Select((_, i) => decoder.DecodeBlock(i))];
        Reconvergence.Find(blocks);
        var origins = new AddressOrigins(entry, decoder.shared, views);
        origins.Find(decoder.starts, blocks, decoder.sites);
        return new Program
        {
            Entry = entry,
            Blocks = blocks,
            Sites = decoder.sites,
            Shared = decoder.shared,
            Pointers = origins.Pointers,
            Lines = lines,
        };
    }

    private static bool IsBranch(Statement statement) => statement.Parts[0] is "bra" or "ret" or "exit" or "brx" or "trap";

    private Block DecodeBlock(int number)
    {
        int end = number + 1 < starts.Count ? starts[number + 1] : entry.Statements.Count;
        var body = new List<Instruction>();
        Contraction? contraction = contracts ? new Contraction() : null;
        for (int i = starts[number]; i < end; i++)
        {
            Statement statement = entry.Statements[i];
            if (IsBranch(statement))
                return new Block { Body = [.. body], Exit = Branch(statement, number) };
            statement = contraction?.Pass(statement) ?? statement;
            body.Add(InstructionSet.Decode(new OperandReader(statement, entry, shared, sites)));
        }

        return new Block { Body = [.. body], Exit = new Terminator.Jump(0, Next(number)) };
    }

    private Terminator Branch(Statement statement, int number)
    {
        int target;
        switch (statement.Opcode)
        {
            case "bra" or "bra.uni":
                target = Target(statement, statement.Operands is [Operand.Name(var label)] ? label : "");
                break;
            case "ret" or "ret.uni" or "exit":
                target = Program.End;
                break;
            case "brx.idx" or "brx.idx.uni" when statement is { Guard: null, Operands: [Operand.Register(var index), Operand.Name(var list)] }
                && entry.Targets.TryGetValue(list, out BranchTargets? targets):
                return new Terminator.Indexed(statement.Line, index, [.. targets.Labels.Select(l => Target(statement, l))]);
            default:
                throw statement.Unknown();
        }

        return statement.Guard is { } guard
            ? new Terminator.Branch(statement.Line, guard, statement.GuardIsNegated, target, Next(number))
            : new Terminator.Jump(statement.Line, target);
    }

    private int Next(int number) => number + 1 < starts.Count ? number + 1 : Program.End;

    private int Target(Statement statement, string label)
    {
        if (!entry.Labels.TryGetValue(label, out int target))
            throw new PtxException(statement.Line, $"no label '{label}'");
        return target < entry.Statements.Count ? starts.BinarySearch(target) : Program.End;
    }
}
