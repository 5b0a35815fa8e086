namespace QwenIlgpu;

/// <summary>
/// Where the states of a prefix tree's checkpoints lie: in slots of the state pools that no sequence has, and, given up there, in host
/// memory. All copies are queued on the device's stream, which keeps them in order.
/// </summary>
internal sealed class SnapshotStore
{
    private readonly ModelState state;
    private readonly Stack<int> freeSlots;

    public SnapshotStore(ModelState state)
    {
        this.state = state;
        EngineCapacity capacity = state.Capacity;
        freeSlots = new Stack<int>(Enumerable.Range(capacity.Slots, capacity.SnapshotSlots).Reverse());
    }

    /// <summary>States that lie in slots.</summary>
    public int SlotsTaken => state.Capacity.SnapshotSlots - freeSlots.Count;

    /// <summary>A slot to write a state to, given up by the least recently used checkpoint if need be; 0 where all are being written to.</summary>
    public int TakeSlot(PrefixTree tree)
    {
        if (freeSlots.Count == 0 && tree.Oldest(this, static (_, node) => node.State!.Slot != 0) is { } oldest)
            tree.Drop(oldest);
        return freeSlots.TryPop(out int slot) ? slot : 0;
    }

    /// <summary>A slot that was taken and holds no state that is kept.</summary>
    public void ReturnSlot(int slot) => freeSlots.Push(slot);

    /// <summary>Queues the copy of a state into a sequence's slot.</summary>
    public void Restore(StateCopy copy, int slot) => state.CopyState(copy.Slot, slot);

    /// <summary>Frees what a state lies in.</summary>
    public void Free(StateCopy copy) => ReturnSlot(copy.Slot);
}

/// <summary>A recurrent state that no sequence is changing.</summary>
/// <param name="slot">The slot that it lies in.</param>
/// <param name="origin">Which steps led to it.</param>
internal sealed class StateCopy(int slot, PrefixOrigin origin)
{
    /// <summary>The slot that it lies in; 0 where it lies on the host.</summary>
    public int Slot { get; set; } = slot;

    /// <summary>Which steps led to it.</summary>
    public PrefixOrigin Origin { get; } = origin;
}
