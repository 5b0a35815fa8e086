using System.Numerics;

namespace QwenIlgpu.PtxMachine;

/// <summary>What an atomic does to memory: the old value and two operands give the new one.</summary>
internal delegate ulong AtomicOperation(ulong old, ulong b, ulong c);

/// <summary>How an access orders others around it.</summary>
[Flags]
internal enum MemoryOrder
{
    Relaxed = 0,
    Acquire = 1,
    Release = 2,
}

/// <summary><c>atom</c> and, without a result, <c>red</c>; also <c>ld.acquire</c> and <c>st.release</c>, which pass on what they order.</summary>
internal sealed unsafe class Atomic(
    AccessSite site, AddressOperand address, Slot? d, Slot b, Slot c, MemoryOrder order, AtomicOperation operation) : MemoryInstruction(site, address)
{
    protected override void BeforeAccess(Warp warp)
    {
        warp.RequireDefined(b, warp.Active, this, "the operand");
        warp.RequireDefined(c, warp.Active, this, "the operand");

        // What other groups do around an atomic may fall out either way.
        warp.IsPaused = true;
    }

    protected override void Access(Warp warp, ulong* addresses, uint lanes)
    {
        uint unwritten = warp.TakeUnwritten(0);
        lock (warp.Launch.Atomics)
        {
            for (; lanes != 0; lanes &= lanes - 1)
            {
                int lane = BitOperations.TrailingZeroCount(lanes);
                if (Site.Space == MemorySpace.Global && warp.Sanitizes)
                    PassOn(warp, lane, addresses[lane]);
                Access(warp, lane, addresses[lane]);
            }
        }

        if (d is { } result)
            warp.SetUndefined(result, unwritten);
    }

    private void Access(Warp warp, int lane, ulong at)
    {
        bool isDouble = Site.Bytes == sizeof(ulong);
        ulong old = isDouble ? *(ulong*)at : *(uint*)at;
        ulong value = operation(old, Value(warp, b, lane), Value(warp, c, lane));
        if (isDouble)
            *(ulong*)at = value;
        else
            *(uint*)at = (uint)value;
        if (d is not { } result)
            return;
        if (isDouble)
            warp.Lane<ulong>(result)[lane] = old;
        else
            warp.Lane<uint>(result)[lane] = (uint)old;
    }

    private void PassOn(Warp warp, int lane, ulong at)
    {
        Group group = warp.Group;
        int thread = warp.Thread(lane);
        Releases releases = warp.Launch.Releases;
        if (releases.At(at) is { } released)
        {
            if (order.HasFlag(MemoryOrder.Acquire))
                group.Knowledge.Acquire(thread, released);
            else
                group.Knowledge.See(thread, released);
        }

        if (order.HasFlag(MemoryOrder.Release))
            releases.Release(at, group.Knowledge.Published(group.Index, group.Epoch, thread));
        else if (group.Knowledge.Fenced(thread) is { } fenced)
            releases.Release(at, fenced);
    }

    private static ulong Value(Warp warp, Slot slot, int lane) =>
        slot.Kind == SlotKind.Double ? warp.Lane<ulong>(slot)[lane] : warp.Lane<uint>(slot)[lane];
}

/// <summary><c>fence</c> and <c>membar</c>: relaxed atomics around it order what lies beyond.</summary>
internal sealed class Fence : Instruction
{
    public override void Execute(Warp warp)
    {
        warp.IsPaused = true;
        if (!warp.Sanitizes)
            return;
        lock (warp.Launch.Atomics)
        {
            for (uint left = warp.Active; left != 0; left &= left - 1)
            {
                int thread = warp.Thread(BitOperations.TrailingZeroCount(left));
                warp.Group.Knowledge.Fence(warp.Group.Index, warp.Group.Epoch, thread);
            }
        }
    }
}
