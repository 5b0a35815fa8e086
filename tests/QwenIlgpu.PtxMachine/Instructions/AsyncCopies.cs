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
        uint reading = warp.Active;
        if (sourceBytes is { } slot)
        {
            // A copy of no bytes fills with zeros, and its source is never read.
            warp.RequireDefined(slot, warp.Active, this, "the source's size");
            for (int lane = 0; lane < Warp.Lanes; lane++)
                reading &= warp.Lane<uint>(slot)[lane] == 0 ? ~(1u << lane) : uint.MaxValue;
        }

        warp.RequireDefined(sourceAddress.Register, reading, this, "the global address");
        uint lanes = warp.Group.Shadow.Check(warp, target, targets, warp.Active);
        uint good = reading == 0 ? 0 : warp.Launch.Access.Check(warp, source, sources, reading);
        uint* unwritten = stackalloc uint[4];
        for (int word = 0; word < source.Bytes / source.ElementBytes; word++)
            unwritten[word] = warp.TakeUnwritten(word);
        lanes &= good | ~reading;
        for (; lanes != 0; lanes &= lanes - 1)
        {
            int lane = BitOperations.TrailingZeroCount(lanes);
            int bytes = sourceBytes is { } size ? Math.Min((int)warp.Lane<uint>(size)[lane], target.Bytes) : target.Bytes;
            uint words = (unwritten[0] >> lane & 1) | (unwritten[1] >> lane & 1) << 1 | (unwritten[2] >> lane & 1) << 2 | (unwritten[3] >> lane & 1) << 3;
            warp.Copies.Start(lane, (int)targets[lane], sources[lane], target.Bytes, bytes, words);
        }
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
