using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Lets prompts begin where earlier ones have been: what the scheduler asks when it admits a request, queues its prefill and lacks pages.
/// Requests for scores neither use it, because every row of theirs is wanted, nor leave anything in it: texts to be scored differ.
/// </summary>
internal sealed class PrefixCache
{
    private readonly PrefixCacheMode mode;
    private readonly ModelState state;
    private readonly PagePool pool;
    private readonly SnapshotStore store;
    private readonly IReadOnlySet<int> endIds;
    private readonly List<StateSnapshot> taken = [];
    private readonly long pageBytes;
    private readonly long stateBytes;
    private int rollingSlots;

    public PrefixCache(StepRunner runner, PagePool pool)
    {
        (mode, state, this.pool, endIds) = (runner.Capacity.PrefixCache, runner.State, pool, runner.EndIds);
        (pageBytes, stateBytes) = (state.PageBytes, state.StateBytesPerSlot);
        store = new SnapshotStore(state, runner.AllocateHost);
        Tree = new PrefixTree(pool) { Dropped = store.Free };
    }

    public PrefixTree Tree { get; }

    public SnapshotStore Store => store;

    /// <summary>What has been saved so far.</summary>
    public PrefixCounters Counters { get; } = new();

    /// <summary>
    /// Where a request can begin; the pages that lead there are held for it, until it gives them back or is let go. One that begins again
    /// has to come to the bits that it has handed out, whatever the mode.
    /// </summary>
    public PrefixMatch Hold(IRequest request)
    {
        if (mode == PrefixCacheMode.Off || request is not GenerationRequest generation)
            return default;
        SequenceProgress sequence = request.Sequence;
        bool isReplay = generation.GeneratedTokens > 0;
        PrefixOrigin admitted = isReplay ? PrefixOrigin.Prefill : mode == PrefixCacheMode.Exact ? PrefixOrigin.Session : PrefixOrigin.Decode;
        PrefixMatch match = Tree.Match(sequence.Ids, sequence.Ids.Length - 1, admitted);
        for (PrefixNode? node = match.Checkpoint; node is not null; node = node.Parent)
        {
            foreach (int page in node.Pages)
                pool.Share(page);
        }

        return match;
    }

    /// <summary>The pages of a match are not used after all.</summary>
    public void LetGo(in PrefixMatch match)
    {
        for (PrefixNode? node = match.Checkpoint; node is not null; node = node.Parent)
        {
            foreach (int page in node.Pages)
                pool.Release(page);
        }
    }

    /// <summary>Gives up pages that nobody but the tree holds until so many are free; false where that is not enough.</summary>
    public bool MakeRoom(int pages)
    {
        while (pool.Available < pages)
        {
            if (!Tree.DropOldestLeaf())
                return false;
            CountBytes();
        }

        return true;
    }

    /// <summary>A request that has its slot and pages begins at its match: queues the copy of the state.</summary>
    public void Resume(IRequest request, in PrefixMatch match)
    {
        if (mode == PrefixCacheMode.Off || request is not GenerationRequest generation)
            return;
        SequenceProgress sequence = request.Sequence;
        if (match.Checkpoint is { } checkpoint)
        {
            store.Restore(checkpoint.State!, sequence.Slot);
            Tree.Touch(checkpoint);
            sequence.Resume(match.CachedTokens, match.Origin);
        }

        sequence.Checkpoints = CheckpointPlan.Of(sequence.Ids, endIds, match.CachedTokens, match.SharedTokens);
        if (generation.GeneratedTokens == 0)
            Counters.Begun(match.CachedTokens);
    }

    /// <summary>The slots that take states of a part of a prefill step; null where none is worth it.</summary>
    public StateSnapshot[]? TakeSlots(SequenceProgress sequence, in StepSequence part)
    {
        taken.Clear();
        foreach (int tokens in sequence.Checkpoints)
        {
            if (tokens <= part.Position || tokens > part.Position + part.Tokens.Length)
                continue;
            if (Tree.Match(sequence.Ids.AsMemory(0, tokens), tokens, sequence.Origin).CachedTokens == tokens)
                continue;
            int slot = store.TakeSlot(Tree);
            if (slot == 0)
                break;
            taken.Add(new StateSnapshot(tokens, slot));
        }

        return taken.Count > 0 ? [.. taken] : null;
    }

    /// <summary>The step with this part of a sequence has been queued: what it writes is there for all that is queued behind it.</summary>
    public void Keep(SequenceProgress sequence, in StepSequence part)
    {
        foreach (StateSnapshot snapshot in part.Snapshots ?? [])
        {
            ReadOnlySpan<int> pages = sequence.Pages[..(snapshot.Tokens / KvCache.PageTokens)];
            if (!Tree.Insert(sequence.Ids.AsMemory(0, snapshot.Tokens), pages, new StateCopy(snapshot.Slot, sequence.Origin)))
                store.ReturnSlot(snapshot.Slot);
        }

        CountBytes();
    }

    /// <summary>
    /// A decode step has been queued: where it brings a request to the end of a page, the state is copied behind it, over the one at the page
    /// before. Half of the slots are left to prompts.
    /// </summary>
    public void FollowAnswer(IRequest request)
    {
        if (mode != PrefixCacheMode.Reuse || request is not GenerationRequest { Sequence: var sequence } generation || sequence.Prefilling)
            return;
        int tokens = generation.CachedTokens;
        if (tokens % KvCache.PageTokens != 0 || tokens <= sequence.Rolling.Tokens)
            return;
        int slot = sequence.Rolling.Slot;
        if (slot == 0 && rollingSlots < Math.Max(1, state.Capacity.SnapshotSlots / 2))
        {
            slot = store.TakeSlot(Tree);
            rollingSlots += slot == 0 ? 0 : 1;
        }

        if (slot == 0)
            return;
        state.CopyState(sequence.Slot, slot);
        sequence.Rolling = new StateSnapshot(tokens, slot);
    }

    /// <summary>
    /// A request ends: what it was asked and has answered is kept up to the last page of which the state was copied, if the host has seen
    /// the token that the step before that copy drew. Otherwise the sequence had ended on the device, and the step left its state alone.
    /// </summary>
    public void KeepAnswer(IRequest request)
    {
        if (request is not GenerationRequest { Sequence: { Rolling.Slot: not 0 } sequence } generation)
            return;
        (int tokens, int slot) = sequence.Rolling;
        int answered = tokens - sequence.Ids.Length;
        if (generation.GeneratedTokens <= answered)
            return;
        int[] ids = [.. sequence.Ids, .. generation.GeneratedIds[..answered]];
        if (!Tree.Insert(ids, sequence.Pages[..(tokens / KvCache.PageTokens)], new StateCopy(slot, PrefixOrigin.Decode)))
            return;
        sequence.Rolling = default;
        rollingSlots--;
        CountBytes();
    }

    /// <summary>A sequence loses its slot: the copy of its state goes, unless it has been kept.</summary>
    public void Forget(SequenceProgress sequence)
    {
        if (sequence.Rolling.Slot == 0)
            return;
        store.ReturnSlot(sequence.Rolling.Slot);
        sequence.Rolling = default;
        rollingSlots--;
    }

    /// <summary>Gives up everything.</summary>
    public void Clear()
    {
        Tree.Clear();
        CountBytes();
    }

    private void CountBytes() => Counters.Hold((Tree.Pages * pageBytes) + (store.SlotsTaken * stateBytes), store.HostTaken * stateBytes);
}

/// <summary>What an engine's prefix cache has saved so far, and what it holds.</summary>
/// <param name="Requests">Generations that have become live.</param>
/// <param name="Hits">Those of them that began where an earlier one had been.</param>
/// <param name="SavedTokens">Tokens of their prompts that needed no prefill.</param>
/// <param name="DeviceBytes">Device memory held: pages, which requests get back when they need them, and states.</param>
/// <param name="HostBytes">Host memory that states are held in.</param>
public sealed record PrefixCacheUsage(long Requests, long Hits, long SavedTokens, long DeviceBytes, long HostBytes);

/// <summary>What a prefix cache has saved. One thread counts, any reads.</summary>
internal sealed class PrefixCounters
{
    private long requests;
    private long hits;
    private long savedTokens;
    private long deviceBytes;
    private long hostBytes;

    public PrefixCacheUsage Usage => new(
        Interlocked.Read(ref requests), Interlocked.Read(ref hits), Interlocked.Read(ref savedTokens), Interlocked.Read(ref deviceBytes),
        Interlocked.Read(ref hostBytes));

    /// <summary>A request has begun behind so many tokens.</summary>
    public void Begun(int cachedTokens)
    {
        Interlocked.Increment(ref requests);
        if (cachedTokens > 0)
            Interlocked.Increment(ref hits);
        Interlocked.Add(ref savedTokens, cachedTokens);
    }

    /// <summary>So much is held now.</summary>
    public void Hold(long device, long host)
    {
        Interlocked.Exchange(ref deviceBytes, device);
        Interlocked.Exchange(ref hostBytes, host);
    }
}
