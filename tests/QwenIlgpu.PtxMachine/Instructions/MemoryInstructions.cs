using System.Numerics;

namespace QwenIlgpu.PtxMachine;

/// <summary>A register with an address, and the distance to it in bytes.</summary>
internal readonly unsafe struct AddressOperand(Slot register, long offsetBytes)
{
    public Slot Register { get; } = register;

    /// <summary>The address of each lane.</summary>
    public void Read(Warp warp, ulong* addresses)
    {
        if (Register.Kind == SlotKind.Double)
        {
            ulong* lanes = warp.Lane<ulong>(Register);
            for (int i = 0; i < Warp.Lanes; i++)
                addresses[i] = lanes[i] + (ulong)offsetBytes;
            return;
        }

        uint* words = warp.Lane<uint>(Register);
        for (int i = 0; i < Warp.Lanes; i++)
            addresses[i] = (ulong)(words[i] + offsetBytes);
    }
}

/// <summary>An instruction that reads or writes memory: addresses, checks, and then the bytes of each lane.</summary>
internal abstract unsafe class MemoryInstruction(AccessSite site, AddressOperand address) : Instruction
{
    protected AccessSite Site { get; } = site;

    public override void Execute(Warp warp)
    {
        ulong* addresses = stackalloc ulong[Warp.Lanes];
        address.Read(warp, addresses);
        warp.RequireDefined(address.Register, warp.Active, this, "the address");
        BeforeAccess(warp);
        uint lanes = Check(warp, Site, addresses, warp.Active);
        Access(warp, addresses, lanes);
    }

    /// <summary>Checks, and makes shared addresses host's.</summary>
    public static uint Check(Warp warp, AccessSite site, ulong* addresses, uint lanes)
    {
        if (site.Space == MemorySpace.Global)
            return warp.Launch.Access.Check(warp, site, addresses, lanes);
        lanes = warp.Group.Shadow.Check(warp, site, addresses, lanes);
        for (int i = 0; i < Warp.Lanes; i++)
            addresses[i] += (ulong)warp.Group.Shared;
        return lanes;
    }

    protected virtual void BeforeAccess(Warp warp)
    {
    }

    protected abstract void Access(Warp warp, ulong* addresses, uint lanes);
}

/// <summary><c>ld</c>: a vector of one, two or four registers a lane; what is narrower than its register is extended.</summary>
internal sealed unsafe class Load(AccessSite site, AddressOperand address, Slot[] destinations, bool isSigned) : MemoryInstruction(site, address)
{
    protected override void Access(Warp warp, ulong* addresses, uint lanes)
    {
        int step = Site.ElementBytes;
        for (int i = 0; i < destinations.Length; i++)
        {
            Slot slot = destinations[i];
            if (slot.Kind == SlotKind.Double)
                LoadDoubles(warp.Lane<ulong>(slot), addresses, i * step, lanes);
            else if (step == sizeof(uint))
                LoadWords(warp.Lane<uint>(slot), addresses, i * step, lanes);
            else
                LoadNarrow(warp.Lane<uint>(slot), addresses, i * step, lanes, slot.Kind == SlotKind.Half ? ushort.MaxValue : uint.MaxValue);
            warp.SetUndefined(slot, warp.TakeUnwritten(i));
        }
    }

    /// <summary>Bits of no meaning, for lanes that load nothing.</summary>
    public void LeaveAnything(Warp warp)
    {
        foreach (Slot slot in destinations.Where(s => s.Kind != SlotKind.Double))
        {
            for (uint left = warp.Active; left != 0; left &= left - 1)
            {
                int lane = BitOperations.TrailingZeroCount(left);
                warp.Lane<uint>(slot)[lane] = (uint)HashCode.Combine(warp.Launch.Options.Seed, slot.Index, lane);
            }

            warp.SetUndefined(slot, 0);
        }
    }

    private static void LoadWords(uint* to, ulong* addresses, int offset, uint lanes)
    {
        if (lanes == Warp.AllLanes)
        {
            for (int lane = 0; lane < Warp.Lanes; lane++)
                to[lane] = *(uint*)(addresses[lane] + (ulong)offset);
            return;
        }

        for (; lanes != 0; lanes &= lanes - 1)
        {
            int lane = BitOperations.TrailingZeroCount(lanes);
            to[lane] = *(uint*)(addresses[lane] + (ulong)offset);
        }
    }

    private void LoadDoubles(ulong* to, ulong* addresses, int offset, uint lanes)
    {
        for (; lanes != 0; lanes &= lanes - 1)
        {
            int lane = BitOperations.TrailingZeroCount(lanes);
            byte* at = (byte*)(addresses[lane] + (ulong)offset);
            to[lane] = Site.ElementBytes switch
            {
                8 => *(ulong*)at,
                4 => isSigned ? (ulong)*(int*)at : *(uint*)at,
                2 => isSigned ? (ulong)*(short*)at : *(ushort*)at,
                _ => isSigned ? (ulong)*(sbyte*)at : *at,
            };
        }
    }

    private void LoadNarrow(uint* to, ulong* addresses, int offset, uint lanes, uint kept)
    {
        for (; lanes != 0; lanes &= lanes - 1)
        {
            int lane = BitOperations.TrailingZeroCount(lanes);
            byte* at = (byte*)(addresses[lane] + (ulong)offset);
            to[lane] = kept & (Site.ElementBytes == 2
                ? isSigned ? (uint)*(short*)at : *(ushort*)at
                : isSigned ? (uint)*(sbyte*)at : *at);
        }
    }
}

/// <summary><c>st</c>: a vector of one, two or four registers a lane.</summary>
internal sealed unsafe class Store(AccessSite site, AddressOperand address, Slot[] sources) : MemoryInstruction(site, address)
{
    protected override void BeforeAccess(Warp warp)
    {
        foreach (Slot slot in sources)
            warp.RequireDefined(slot, warp.Active & ~Carried(warp, slot), this, "what is stored");
    }

    protected override void Access(Warp warp, ulong* addresses, uint lanes)
    {
        int step = Site.ElementBytes;
        for (int i = 0; i < sources.Length; i++)
        {
            bool isDouble = sources[i].Kind == SlotKind.Double;
            for (uint left = lanes & Carried(warp, sources[i]); left != 0; left &= left - 1)
            {
                ulong at = addresses[BitOperations.TrailingZeroCount(left)] - (ulong)warp.Group.Shared;
                warp.Group.Shadow.Forget((int)at + (i * step), step);
            }

            for (uint left = lanes; left != 0; left &= left - 1)
            {
                int lane = BitOperations.TrailingZeroCount(left);
                byte* at = (byte*)(addresses[lane] + (ulong)(i * step));
                ulong value = isDouble ? warp.Lane<ulong>(sources[i])[lane] : warp.Lane<uint>(sources[i])[lane];
                switch (step)
                {
                    case 8:
                        *(ulong*)at = value;
                        break;
                    case 4:
                        *(uint*)at = (uint)value;
                        break;
                    case 2:
                        *(ushort*)at = (ushort)value;
                        break;
                    default:
                        *at = (byte)value;
                        break;
                }
            }
        }
    }

    // What came from memory that nothing wrote may go to shared memory, and is as undefined there.
    private uint Carried(Warp warp, Slot slot) => Site.Space == MemorySpace.Shared ? warp.Undefined(slot) & warp.EverUnwritten : 0;
}

/// <summary><c>ld.param</c>: the same for every lane.</summary>
internal sealed unsafe class LoadParameter(Slot[] destinations, int offsetBytes, int elementBytes, bool isSigned) : Instruction
{
    public override void Execute(Warp warp)
    {
        for (int i = 0; i < destinations.Length; i++)
        {
            byte* at = warp.Launch.Parameters + offsetBytes + (i * elementBytes);
            ulong value = elementBytes switch
            {
                8 => *(ulong*)at,
                4 => isSigned ? (ulong)*(int*)at : *(uint*)at,
                2 => isSigned ? (ulong)*(short*)at : *(ushort*)at,
                _ => isSigned ? (ulong)*(sbyte*)at : *at,
            };
            Slot slot = destinations[i];
            if (slot.Kind == SlotKind.Double)
            {
                for (int lane = 0; lane < Warp.Lanes; lane += 8)
                    Registers.Store(warp.Lane<ulong>(slot), lane, System.Runtime.Intrinsics.Vector512.Create(value), warp.Active);
            }
            else
            {
                uint word = slot.Kind == SlotKind.Half ? (ushort)value : (uint)value;
                for (int lane = 0; lane < Warp.Lanes; lane += 16)
                    Registers.Store(warp.Lane<uint>(slot), lane, System.Runtime.Intrinsics.Vector512.Create(word), warp.Active);
            }

            warp.SetUndefined(slot, 0);
        }
    }
}

/// <summary><c>prefetch</c>: a hint, which may name any address.</summary>
internal sealed class Nothing : Instruction
{
    public override void Execute(Warp warp)
    {
    }
}
