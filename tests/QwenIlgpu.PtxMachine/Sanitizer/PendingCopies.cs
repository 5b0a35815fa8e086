namespace QwenIlgpu.PtxMachine;

/// <summary>
/// A warp's asynchronous copies that were not waited for. Each lane has groups of its own; a copy lands when it starts, when its wait
/// comes or at the end of the lane, by the seed: as late as a GPU might.
/// </summary>
internal sealed unsafe class PendingCopies(Warp warp)
{
    private readonly List<Copy> copies = [];
    private readonly int[] committed = new int[Warp.Lanes];
    private uint turn;

    public void Clear()
    {
        copies.Clear();
        Array.Clear(committed);
    }

    /// <summary>Starts a copy of one lane; the bytes behind the source's are zero.</summary>
    public void Start(int lane, int target, ulong source, int bytes, int sourceBytes, uint unwrittenPieces)
    {
        bool landsNow = ((uint)HashCode.Combine(warp.Launch.Options.Seed, turn++) % 3) == 0;
        var copy = new Copy(lane, target, source, bytes, sourceBytes, committed[lane], landsNow, unwrittenPieces);
        if (landsNow)
            copy.Move(warp.Group.Shared);
        if (warp.Sanitizes)
            warp.Group.Shadow.SetPending(target, bytes, isPending: true);
        copies.Add(copy);
    }

    public void Commit(uint lanes)
    {
        for (int lane = 0; lane < Warp.Lanes; lane++)
            committed[lane] += (int)(lanes >> lane & 1);
    }

    /// <summary>Waits for all but the last so many groups of each lane; null waits for all copies, closed groups or not.</summary>
    public void Wait(uint lanes, int? lastGroups)
    {
        int kept = 0;
        for (int i = 0; i < copies.Count; i++)
        {
            Copy copy = copies[i];
            bool isWaitedFor = (lanes >> copy.Lane & 1) != 0 && (lastGroups is null || copy.Group < committed[copy.Lane] - lastGroups);
            if (isWaitedFor)
                Land(copy);
            else
                copies[kept++] = copy;
        }

        copies.RemoveRange(kept, copies.Count - kept);
    }

    /// <summary>At the end of the warp, what nobody waited for lands too.</summary>
    public void LandAll() => Wait(Warp.AllLanes, null);

    private void Land(Copy copy)
    {
        if (!copy.HasMoved)
            copy.Move(warp.Group.Shared);
        if (!warp.Sanitizes)
            return;
        warp.Group.Shadow.SetPending(copy.Target, copy.Bytes, isPending: false);
        warp.Group.Shadow.Landed(warp, copy.Target, copy.Bytes, copy.Lane, copy.UnwrittenPieces);
    }

    private readonly record struct Copy(int Lane, int Target, ulong Source, int Bytes, int SourceBytes, int Group, bool HasMoved, uint UnwrittenPieces)
    {
        public void Move(byte* shared)
        {
            var target = new Span<byte>(shared + Target, Bytes);
            new ReadOnlySpan<byte>((void*)Source, SourceBytes).CopyTo(target);
            target[SourceBytes..].Clear();
        }
    }
}
