using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>What a warp is waiting for.</summary>
internal enum WarpState
{
    Ready,
    AtBarrier,
    Done,
}

/// <summary>
/// 32 lanes in lockstep: their registers, which of them are active, and where the others wait. A block is left by the lanes that go one
/// way first; they meet the others at the block that all ways pass.
/// </summary>
internal sealed unsafe class Warp : IDisposable
{
    public const int Lanes = 32;
    public const uint AllLanes = uint.MaxValue;

    private readonly Launch launch;
    private readonly uint* undefined;
    private readonly List<Waiting> waiting = [];
    private readonly uint[] unwritten = new uint[16 / SharedShadow.CopiedBytes];
    private int block;
    private int next;
    private int reconverge;
    private int unwrittenLine;
    private string unwrittenRead = "";

    public Warp(Launch launch, Group group, int number)
    {
        this.launch = launch;
        Group = group;
        Number = number;
        SlotPlan slots = launch.Program.Entry.Slots;
        File = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(slots.Bytes, 64), 64);
        undefined = (uint*)NativeMemory.AlignedAlloc((nuint)Math.Max(slots.Count * sizeof(uint), 64), 64);
        Copies = new PendingCopies(this);
        NativeMemory.Fill(File, (nuint)slots.Bytes, 0xff);
        foreach ((Slot slot, ulong bits) in slots.Constants)
            Registers.Fill(File, slot, bits);
        uint lanes = (uint)Math.Min(launch.Shape.GroupThreads - ((long)number * Lanes), Lanes);
        Existing = lanes == Lanes ? AllLanes : (1u << (int)lanes) - 1;
        SpecialRegisters.Fill(this);
    }

    public Launch Launch => launch;

    public Group Group { get; }

    /// <summary>Its number in the group.</summary>
    public int Number { get; }

    /// <summary>The registers, each lane beside the next.</summary>
    public byte* File { get; }

    /// <summary>Lanes that the instruction at hand is for.</summary>
    public uint Active { get; set; }

    /// <summary>Lanes that have not ended.</summary>
    public uint Live { get; private set; }

    /// <summary>Lanes that the group has threads for.</summary>
    public uint Existing { get; }

    public WarpState State { get; set; }

    /// <summary>The barrier it waits at, and the line of the instruction.</summary>
    public int Barrier { get; set; }

    public int BarrierLine { get; set; }

    /// <summary>Counts <c>bar.warp.sync</c>, which order the warp's own accesses to memory.</summary>
    public int Epoch { get; set; }

    /// <summary>Set by an instruction after which another warp should run.</summary>
    public bool IsPaused { get; set; }

    public PendingCopies Copies { get; }

    /// <summary>Lanes that have ever loaded what nothing wrote, or got it from other lanes.</summary>
    public uint EverUnwritten { get; private set; }

    public bool Sanitizes => launch.Options.Sanitizes;

    /// <summary>Begins the entry for the group's next index.</summary>
    public void Start()
    {
        SlotPlan slots = launch.Program.Entry.Slots;
        NativeMemory.Fill(undefined, (nuint)(slots.Count * sizeof(uint)), 0xff);
        foreach ((Slot slot, _) in slots.Constants)
            undefined[slot.Index] = 0;
        foreach ((string name, Slot slot) in slots.Specials)
        {
            undefined[slot.Index] = 0;
            SpecialRegisters.FillGroup(this, name, slot);
        }

        waiting.Clear();
        Copies.Clear();
        (block, next, reconverge, Epoch) = (0, 0, Program.End, 0);
        EverUnwritten = 0;
        Array.Clear(unwritten);
        (Active, Live, State) = (Existing, Existing, WarpState.Ready);
    }

    /// <summary>Runs until something pauses it, or so many blocks are done.</summary>
    public void Run(int blocks)
    {
        Block[] program = launch.Program.Blocks;
        IsPaused = false;
        while (State == WarpState.Ready)
        {
            Block current = program[block];
            Instruction[] body = current.Body;
            if (next == 0)
                launch.Counters?.Count(block, Active);
            while (next < body.Length)
            {
                body[next++].Execute(this);
                if (IsPaused)
                    return;
            }

            next = 0;
            Leave(current);
            if (--blocks <= 0)
                return;
        }
    }

    /// <summary>The number in the group of a lane's thread.</summary>
    public int Thread(int lane) => (Number * Lanes) + lane;

    public uint Predicate(Slot slot) => *(uint*)(File + slot.OffsetBytes);

    public void SetPredicate(Slot slot, uint bits)
    {
        uint* at = (uint*)(File + slot.OffsetBytes);
        *at = (*at & ~Active) | (bits & Active);
    }

    public T* Lane<T>(Slot slot)
        where T : unmanaged => (T*)(File + slot.OffsetBytes);

    public ReadOnlySpan<T> Span<T>(Slot slot)
        where T : unmanaged => new(Lane<T>(slot), Lanes);

    public uint Undefined(Slot slot) => undefined[slot.Index];

    /// <summary>Notes which of the active lanes of a result are undefined.</summary>
    public void SetUndefined(Slot slot, uint lanes)
    {
        uint* at = undefined + slot.Index;
        *at = (*at & ~Active) | (lanes & Active);
    }

    /// <summary>Reports a register that nothing wrote where its value decides something.</summary>
    public void RequireDefined(Slot slot, uint lanes, Instruction instruction, string operand)
    {
        uint bad = undefined[slot.Index] & lanes;
        if (bad != 0 && Sanitizes)
            ReportUndefined(instruction.Line, bad, operand);
    }

    /// <summary>Notes a lane that is about to load what nothing wrote, an element of its vector: it counts once something depends on it.</summary>
    public void NoteUnwritten(int lane, int element, int line, string what)
    {
        unwritten[element] |= 1u << lane;
        EverUnwritten |= 1u << lane;
        (unwrittenLine, unwrittenRead) = (line, what);
    }

    /// <summary>Notes lanes that get from others what nothing wrote.</summary>
    public void PassUnwritten(uint lanes) => EverUnwritten |= lanes;

    /// <summary>The lanes noted for an element since the last call.</summary>
    public uint TakeUnwritten(int element)
    {
        uint lanes = unwritten[element];
        unwritten[element] = 0;
        return lanes;
    }

    /// <summary>Reports lanes that are missing at an instruction for the whole warp.</summary>
    public bool RequireWhole(Instruction instruction, uint lanes = AllLanes)
    {
        if (Active == lanes)
            return true;
        uint missing = lanes & ~Active & Existing;
        launch.Fail(
            FaultKind.Divergence, this, instruction.Line, missing != 0 ? missing : Active,
            $"lanes 0x{lanes:x8} must come here together, but only 0x{Active:x8} did");
        return false;
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(File);
        NativeMemory.AlignedFree(undefined);
    }

    private void Leave(Block from)
    {
        switch (from.Exit)
        {
            case Terminator.Jump(_, var target):
                Arrive(target);
                break;
            case Terminator.Branch(var line, var predicate, var isNegated, var target, var otherwise):
                RequireDefinedBranch(predicate, line);
                uint chosen = Predicate(predicate);
                chosen = Active & (isNegated ? ~chosen : chosen);
                if (chosen == Active || chosen == 0)
                    Arrive(chosen == 0 ? otherwise : target);
                else
                    Part(from.Reconverge, [(target, chosen), (otherwise, Active & ~chosen)]);
                break;
            case Terminator.Indexed(var line, var index, var targets):
                RequireDefinedBranch(index, line);
                Part(from.Reconverge, [.. targets.Select((t, i) => (t, LanesWith(index, i, targets.Length - 1)))]);
                break;
        }
    }

    private void RequireDefinedBranch(Slot slot, int line)
    {
        uint bad = undefined[slot.Index] & Active;
        if (bad != 0 && Sanitizes)
            ReportUndefined(line, bad, "what the branch depends on");
    }

    private void ReportUndefined(int line, uint lanes, string operand)
    {
        if ((lanes & EverUnwritten) != 0)
        {
            launch.Report(
                FaultKind.UnwrittenMemory, this, line, lanes & EverUnwritten,
                $"{operand} depends on what nothing wrote; last so read: {unwrittenRead}, at line {unwrittenLine}");
        }
        else
        {
            launch.Report(FaultKind.UndefinedValue, this, line, lanes, $"{operand} depends on a register that nothing wrote");
        }
    }

    // An index behind the list is undefined in PTX; the last target takes it here.
    private uint LanesWith(Slot index, int value, int last)
    {
        uint* lanes = Lane<uint>(index);
        uint found = 0;
        for (int lane = 0; lane < Lanes; lane++)
        {
            if (lanes[lane] == value || (value == last && lanes[lane] > value))
                found |= 1u << lane;
        }

        return found & Active;
    }

    private void Part(int meeting, ReadOnlySpan<(int Target, uint Lanes)> ways)
    {
        foreach ((int target, uint lanes) in ways)
        {
            if (target == Program.End && lanes != 0 && lanes != Active)
                End(lanes);
        }

        int taken = 0;
        foreach ((_, uint lanes) in ways)
            taken += (lanes & Active) != 0 ? 1 : 0;
        if (taken == 1)
        {
            foreach ((int target, uint lanes) in ways)
            {
                if ((lanes & Active) != 0)
                {
                    Arrive(target);
                    return;
                }
            }
        }

        // Those already at the meeting point wait there; of the others the first way goes on at once.
        waiting.Add(new Waiting(meeting, reconverge, Active));
        int mark = waiting.Count;
        foreach ((int target, uint lanes) in ways)
        {
            if ((lanes & Active) != 0 && target != meeting)
                waiting.Add(new Waiting(target, meeting, lanes));
        }

        if (waiting.Count - mark > 1 && launch.FlipsOrder(block))
            waiting.Reverse(mark, waiting.Count - mark);
        Resume();
    }

    private void Arrive(int target)
    {
        if (target == Program.End)
            End(Active);
        if (Active == 0 || target == reconverge)
            Resume();
        else
            block = target;
    }

    private void End(uint lanes)
    {
        Live &= ~lanes;
        Active &= ~lanes;
        for (int i = 0; i < waiting.Count; i++)
            waiting[i] = waiting[i] with { Lanes = waiting[i].Lanes & Live };
    }

    // The lanes that were parted last.
    private void Resume()
    {
        while (waiting.Count > 0)
        {
            Waiting top = waiting[^1];
            waiting.RemoveAt(waiting.Count - 1);
            if (top.Lanes == 0)
                continue;
            Active = top.Lanes;
            reconverge = top.Reconverge;
            if (top.Block == Program.End)
                End(top.Lanes);
            if (top.Block == Program.End || top.Block == reconverge)
                continue;
            block = top.Block;
            return;
        }

        if (Live == 0)
        {
            Active = 0;
            State = WarpState.Done;
            Copies.LandAll();
            Group.WarpEnded();
        }
    }

    private readonly record struct Waiting(int Block, int Reconverge, uint Lanes);
}
