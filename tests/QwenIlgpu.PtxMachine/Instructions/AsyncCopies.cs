using System.Numerics;

namespace QwenIlgpu.PtxMachine;

/// <summary><c>cp.async</c>: bytes from global to shared memory that land when they like until they are waited for.</summary>
internal sealed unsafe class AsyncCopy(
    AccessSite target, AddressOperand targetAddress, AccessSite source, AddressOperand sourceAddress, Slot? sourceBytes) : Instruction
{
    public override void Execute(Warp warp)
    {
        ulong* targets = stackalloc ulong[Warp.Lanes];
        ulong* sources = stackalloc ulong[Warp.Lanes];
        targetAddress.Read(warp, targets);
        sourceAddress.Read(warp, sources);
        warp.RequireDefined(targetAddress.Register, warp.Active, this, "the shared address");
        int* sizes = stackalloc int[Warp.Lanes];
        uint reading = ReadSizes(warp, sizes);

        warp.RequireDefined(sourceAddress.Register, reading, this, "the global address");
        uint lanes = warp.Group.Shadow.Check(warp, target, targets, warp.Active);
        uint good = Check(warp, sources, sizes, reading);
        int pieces = source.Bytes / source.ElementBytes;
        uint* unwritten = stackalloc uint[pieces];
        for (int piece = 0; piece < pieces; piece++)
            unwritten[piece] = warp.TakeUnwritten(piece);
        lanes &= good | ~reading;
        for (; lanes != 0; lanes &= lanes - 1)
        {
            int lane = BitOperations.TrailingZeroCount(lanes);
            uint unwrittenPieces = 0;
            for (int piece = 0; piece < pieces; piece++)
                unwrittenPieces |= (unwritten[piece] >> lane & 1) << piece;
            warp.Copies.Start(lane, (int)targets[lane], sources[lane], target.Bytes, sizes[lane], unwrittenPieces);
        }
    }

    // Yields the lanes that read anything: a copy of no bytes fills with zeros, and its source is never read.
    private uint ReadSizes(Warp warp, int* sizes)
    {
        new Span<int>(sizes, Warp.Lanes).Fill(source.Bytes);
        if (sourceBytes is not { } slot)
            return warp.Active;
        warp.RequireDefined(slot, warp.Active, this, "the source's size");
        uint reading = 0;
        for (int lane = 0; lane < Warp.Lanes; lane++)
        {
            sizes[lane] = (int)Math.Min(warp.Lane<uint>(slot)[lane], (uint)source.Bytes);
            reading |= sizes[lane] > 0 ? 1u << lane : 0;
        }

        return reading & warp.Active;
    }

    // Behind the bytes that a lane reads, its source may end: lanes of one size are checked together.
    private uint Check(Warp warp, ulong* sources, int* sizes, uint reading)
    {
        uint good = 0;
        while (reading != 0)
        {
            int size = sizes[BitOperations.TrailingZeroCount(reading)];
            uint alike = 0;
            for (uint left = reading; left != 0; left &= left - 1)
            {
                int lane = BitOperations.TrailingZeroCount(left);
                alike |= sizes[lane] == size ? 1u << lane : 0;
            }

            good |= warp.Launch.Access.Check(warp, size == source.Bytes ? source : source.First(size), sources, alike);
            reading &= ~alike;
        }

        return good;
    }
}

/// <summary><c>cp.async.commit_group</c></summary>
internal sealed class CommitCopies : Instruction
{
    public override void Execute(Warp warp) => warp.Copies.Commit(warp.Active);
}

/// <summary><c>cp.async.wait_group</c>, and <c>wait_all</c> with null.</summary>
internal sealed class WaitForCopies(int? lastGroups) : Instruction
{
    public override void Execute(Warp warp) => warp.Copies.Wait(warp.Active, lastGroups);
}
