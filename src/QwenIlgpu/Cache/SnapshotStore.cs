using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Where the states of a prefix tree's checkpoints lie: in slots of the state pools that no sequence has, and, given up there, in host
/// memory. All copies are queued on the device's stream, which keeps them in order: the host waits for none.
/// </summary>
internal sealed class SnapshotStore
{
    private readonly ModelState state;
    private readonly Func<long, HostBuffer<byte>> allocate;
    private readonly Stack<int> freeSlots;
    private readonly Stack<HostBuffer<byte>> freeBuffers = new();
    private long hostBytesLeft;

    /// <param name="state">The state pools, whose last slots are the store's.</param>
    /// <param name="allocate">Host memory of so many bytes that lives as long as the store, taken when it is first needed.</param>
    public SnapshotStore(ModelState state, Func<long, HostBuffer<byte>> allocate)
    {
        (this.state, this.allocate) = (state, allocate);
        EngineCapacity capacity = state.Capacity;
        freeSlots = new Stack<int>(Enumerable.Range(capacity.Slots, capacity.SnapshotSlots).Reverse());
        hostBytesLeft = capacity.HostSnapshotBytes;
    }

    /// <summary>Slots that a state lies in, or is being written to.</summary>
    public int SlotsTaken => state.Capacity.SnapshotSlots - freeSlots.Count;

    /// <summary>States that lie on the host.</summary>
    public int HostTaken { get; private set; }

    /// <summary>
    /// A slot to write a state to; 0 where all are being written to. If need be the least recently used state leaves its slot for the host,
    /// and the least recently used one there is given up.
    /// </summary>
    public int TakeSlot(PrefixTree tree)
    {
        if (freeSlots.Count == 0 && tree.Oldest(this, static (_, node) => node.State!.Slot != 0) is { } oldest)
            MoveToHost(tree, oldest);
        return freeSlots.TryPop(out int slot) ? slot : 0;
    }

    /// <summary>A slot that was taken and holds no state that is kept.</summary>
    public void ReturnSlot(int slot) => freeSlots.Push(slot);

    /// <summary>Queues the copy of a state into a sequence's slot.</summary>
    public void Restore(StateCopy copy, int slot)
    {
        if (copy.Host is { } buffer)
            state.UploadState(slot, buffer, 0);
        else
            state.CopyState(copy.Slot, slot);
    }

    /// <summary>Frees what a state lies in.</summary>
    public void Free(StateCopy copy)
    {
        if (copy.Host is { } buffer)
        {
            freeBuffers.Push(buffer);
            HostTaken--;
        }
        else
        {
            ReturnSlot(copy.Slot);
        }
    }

    private void MoveToHost(PrefixTree tree, PrefixNode node)
    {
        if (TakeBuffer(tree, node) is not { } buffer)
        {
            tree.Drop(node);
            return;
        }

        StateCopy copy = node.State!;
        state.DownloadState(copy.Slot, buffer, 0);
        ReturnSlot(copy.Slot);
        HostTaken++;
        (copy.Slot, copy.Host) = (0, buffer);
    }

    // For the state of a node, unless it is older than all that lie there.
    private HostBuffer<byte>? TakeBuffer(PrefixTree tree, PrefixNode node)
    {
        if (freeBuffers.Count == 0 && hostBytesLeft >= state.StateBytesPerSlot)
            Allocate();
        if (freeBuffers.Count == 0 && tree.Oldest(this, static (_, other) => other.State!.Host is not null) is { } oldest && oldest.LastUse < node.LastUse)
            tree.Drop(oldest);
        return freeBuffers.TryPop(out HostBuffer<byte>? buffer) ? buffer : null;
    }

    // Where the system grants no more, the budget has been too large, which stops nobody.
    private void Allocate()
    {
        try
        {
            freeBuffers.Push(allocate(state.StateBytesPerSlot));
            hostBytesLeft -= state.StateBytesPerSlot;
        }
        catch (Exception e) when (e is DriverCallException or InsufficientMemoryException or OutOfMemoryException)
        {
            hostBytesLeft = 0;
        }
    }
}

/// <summary>A recurrent state that no sequence is changing.</summary>
/// <param name="slot">The slot that it lies in.</param>
/// <param name="origin">Which steps led to it.</param>
internal sealed class StateCopy(int slot, PrefixOrigin origin)
{
    /// <summary>The slot that it lies in; 0 where it lies on the host.</summary>
    public int Slot { get; set; } = slot;

    /// <summary>The host memory that it lies in; null where it lies in a slot.</summary>
    public HostBuffer<byte>? Host { get; set; }

    /// <summary>Which steps led to it.</summary>
    public PrefixOrigin Origin { get; } = origin;
}
