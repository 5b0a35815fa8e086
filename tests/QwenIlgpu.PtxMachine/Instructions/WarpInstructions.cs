using System.Numerics;
using QwenIlgpu.PtxMachine.Numbers;

namespace QwenIlgpu.PtxMachine;

/// <summary>How <c>shfl</c> finds the lane whose value it takes.</summary>
internal enum ShuffleMode
{
    Up,
    Down,
    Butterfly,
    Index,
}

/// <summary><c>shfl.sync</c>: the value of another lane, and whether there is one.</summary>
internal sealed unsafe class Shuffle(ShuffleMode mode, Slot d, Slot? found, Slot a, Slot b, Slot c, Slot members) : Instruction
{
    public override void Execute(Warp warp)
    {
        uint expected = warp.Lane<uint>(members)[0];
        if (!warp.RequireWhole(this, expected))
            return;
        warp.RequireDefined(b, warp.Active, this, "the lane");
        uint* from = warp.Lane<uint>(a);
        uint* values = stackalloc uint[Warp.Lanes];
        uint undefined = 0;
        uint inRange = 0;
        uint before = warp.Undefined(a);
        uint passed = 0;
        for (int lane = 0; lane < Warp.Lanes; lane++)
        {
            int source = Source(lane, warp.Lane<uint>(b)[lane], warp.Lane<uint>(c)[lane], out bool isInRange);
            values[lane] = from[source];
            undefined |= (before >> source & 1) << lane;
            passed |= ((before & warp.EverUnwritten) >> source & 1) << lane;
            inRange |= isInRange ? 1u << lane : 0;

            // A lane that does not take part has no value to give.
            if ((warp.Active >> source & 1) == 0)
                undefined |= 1u << lane;
        }

        Registers.Store(warp.Lane<uint>(d), values, warp.Active);
        warp.SetUndefined(d, undefined);
        warp.PassUnwritten(passed & warp.Active);
        if (found is { } predicate)
        {
            warp.SetPredicate(predicate, inRange);
            warp.SetUndefined(predicate, 0);
        }
    }

    // PTX ISA, shfl.sync: bits 0-4 of c clamp, bits 8-12 are the mask of the segment.
    private int Source(int lane, uint b, uint c, out bool isInRange)
    {
        int distance = (int)(b & 31);
        int clamp = (int)(c & 31);
        int mask = (int)(c >> 8 & 31);
        int highest = (lane & mask) | (clamp & ~mask);
        int lowest = lane & mask;
        int source = mode switch
        {
            ShuffleMode.Up => lane - distance,
            ShuffleMode.Down => lane + distance,
            ShuffleMode.Butterfly => lane ^ distance,
            _ => lowest | (distance & ~mask),
        };
        isInRange = mode == ShuffleMode.Up ? source >= highest : source <= highest;
        return isInRange ? source & 31 : lane;
    }
}

/// <summary><c>bar.sync</c>: no thread of the group goes on until all have come.</summary>
internal sealed class Barrier(int number) : Instruction
{
    public override void Execute(Warp warp)
    {
        if (!warp.RequireWhole(this, warp.Live))
            return;
        warp.Barrier = number;
        warp.BarrierLine = Line;
        warp.Group.Arrive(warp, Line);
    }
}

/// <summary><c>bar.warp.sync</c>: orders the accesses to memory of a warp's lanes.</summary>
internal sealed unsafe class WarpBarrier(Slot members) : Instruction
{
    public override void Execute(Warp warp)
    {
        if (!warp.RequireWhole(this, warp.Lane<uint>(members)[0] & warp.Live))
            return;
        warp.Epoch++;
        warp.Group.Knowledge.Share(warp.Thread(0), Warp.Lanes);
    }
}

/// <summary><c>vote.sync</c>: what the lanes' predicates are together.</summary>
internal sealed unsafe class Vote(string mode, Slot d, Slot predicate, bool isNegated, Slot members) : Instruction
{
    public override void Execute(Warp warp)
    {
        uint expected = warp.Lane<uint>(members)[0];
        if (!warp.RequireWhole(this, expected))
            return;
        warp.RequireDefined(predicate, warp.Active, this, "the vote");
        uint bits = (isNegated ? ~warp.Predicate(predicate) : warp.Predicate(predicate)) & warp.Active;
        if (mode == "ballot")
        {
            uint* values = stackalloc uint[Warp.Lanes];
            new Span<uint>(values, Warp.Lanes).Fill(bits);
            Registers.Store(warp.Lane<uint>(d), values, warp.Active);
        }
        else
        {
            bool result = mode switch { "all" => bits == warp.Active, "any" => bits != 0, _ => bits == 0 || bits == warp.Active };
            warp.SetPredicate(d, result ? Warp.AllLanes : 0);
        }

        warp.SetUndefined(d, 0);
    }
}

/// <summary><c>ldmatrix</c>: 8 × 8 matrices of 16-bit elements; lanes 8m … 8m + 7 name the rows of matrix m.</summary>
internal sealed unsafe class LoadMatrix(AccessSite site, AddressOperand address, Slot[] destinations, bool isTransposed) : Instruction
{
    public override void Execute(Warp warp)
    {
        if (!warp.RequireWhole(this))
            return;
        ulong* rows = stackalloc ulong[Warp.Lanes];
        address.Read(warp, rows);
        uint naming = destinations.Length == 4 ? Warp.AllLanes : (1u << (8 * destinations.Length)) - 1;
        warp.RequireDefined(address.Register, naming, this, "the address of a row");
        uint good = MemoryInstruction.Check(warp, site, rows, naming);
        uint* unwritten = stackalloc uint[4];
        for (int word = 0; word < 4; word++)
            unwritten[word] = warp.TakeUnwritten(word);
        if (good != naming)
            return;
        for (int matrix = 0; matrix < destinations.Length; matrix++)
        {
            uint* to = warp.Lane<uint>(destinations[matrix]);
            for (int lane = 0; lane < Warp.Lanes; lane++)
            {
                // Lane l has elements 2 (l % 4) and the next of row l / 4, or of that column.
                int row = lane >> 2;
                int column = (lane & 3) * 2;
                to[lane] = isTransposed
                    ? Element(rows, matrix, column, row) | ((uint)Element(rows, matrix, column + 1, row) << 16)
                    : *(uint*)(rows[(matrix * 8) + row] + (ulong)(column * 2));
            }

            uint undefined = LanesOf(unwritten, matrix);
            warp.SetUndefined(destinations[matrix], undefined);
            warp.PassUnwritten(undefined);
        }
    }

    // Word w of a row goes to lane 4 · row + w, which seldom is the one that named the row; turned, its elements go to two rows of lanes.
    private uint LanesOf(uint* unwritten, int matrix)
    {
        uint lanes = 0;
        for (int word = 0; word < 4; word++)
        {
            uint rows = unwritten[word] >> (8 * matrix) & 0xff;
            for (int row = 0; rows != 0 && row < 8; row++)
            {
                if ((rows >> row & 1) != 0)
                    lanes |= isTransposed ? (1u << ((8 * word) + (row / 2))) | (1u << ((8 * word) + 4 + (row / 2))) : 1u << ((4 * row) + word);
            }
        }

        return lanes;
    }

    private static ushort Element(ulong* rows, int matrix, int row, int column) => *(ushort*)(rows[(matrix * 8) + row] + (ulong)(column * 2));
}

/// <summary><c>mma</c> with f32 accumulators.</summary>
internal sealed unsafe class MatrixMultiply(Slot[] d, Slot[] a, Slot[] b, Slot[] c, bool isBf16, bool isTf32) : Instruction
{
    public override void Execute(Warp warp)
    {
        if (!warp.RequireWhole(this))
            return;
        uint* left = stackalloc uint[4 * Warp.Lanes];
        uint* right = stackalloc uint[2 * Warp.Lanes];
        float* sum = stackalloc float[4 * Warp.Lanes];
        Gather(warp, a, left);
        Gather(warp, b, right);
        Gather(warp, c, (uint*)sum);
        var sums = new Span<float>(sum, 4 * Warp.Lanes);
        var leftSpan = new ReadOnlySpan<uint>(left, 4 * Warp.Lanes);
        var rightSpan = new ReadOnlySpan<uint>(right, 2 * Warp.Lanes);
        if (isTf32)
            TensorCore.MultiplyTf32(leftSpan, rightSpan, sums, sums, warp.Launch.Options.TensorCoreSums);
        else
            TensorCore.MultiplyHalf(leftSpan, rightSpan, sums, sums, isBf16, warp.Launch.Options.TensorCoreSums);
        uint undefined = 0;
        for (int i = 0; i < 4; i++)
        {
            sums.Slice(i * Warp.Lanes, Warp.Lanes).CopyTo(new Span<float>(warp.Lane<float>(d[i]), Warp.Lanes));
            undefined |= warp.Undefined(a[i]) | warp.Undefined(c[i]);
        }

        undefined |= warp.Undefined(b[0]) | warp.Undefined(b[1]);
        if (undefined == 0)
        {
            foreach (Slot slot in d)
                warp.SetUndefined(slot, 0);
            return;
        }

        Span<uint> result = stackalloc uint[4];
        TensorCore.Taint(Masks(warp, a), Masks(warp, b), Masks(warp, c), result);
        bool isUnwritten = (undefined & warp.EverUnwritten) != 0;
        for (int i = 0; i < 4; i++)
        {
            warp.SetUndefined(d[i], result[i]);
            if (isUnwritten)
                warp.PassUnwritten(result[i]);
        }
    }

    private static void Gather(Warp warp, Slot[] slots, uint* to)
    {
        for (int i = 0; i < slots.Length; i++)
            new ReadOnlySpan<uint>(warp.Lane<uint>(slots[i]), Warp.Lanes).CopyTo(new Span<uint>(to + (i * Warp.Lanes), Warp.Lanes));
    }

    private static uint[] Masks(Warp warp, Slot[] slots) => Array.ConvertAll(slots, warp.Undefined);
}
