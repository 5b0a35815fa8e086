using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Host memory that states and pages lie in while their sequence has no slot: blocks of one slot's states or one page, page-locked on CUDA,
/// taken from the system when they are first needed and kept for the next. All copies are queued: none is waited for, as whatever comes to
/// lie in the same place later is queued later. One thread uses it.
/// </summary>
internal sealed class SpillSpace : IDisposable
{
    private readonly ComputeDevice device;
    private readonly ModelState state;
    private readonly Stack<HostBuffer<byte>> freeStates = new();
    private readonly Stack<HostBuffer<byte>> freePages = new();
    private readonly long stateBytes;
    private readonly long pageBytes;

    public SpillSpace(ComputeDevice device, ModelState state, long budgetBytes)
    {
        (this.device, this.state, BudgetBytes) = (device, state, budgetBytes);
        (stateBytes, pageBytes) = (state.StateBytesPerSlot, state.PageBytes);
    }

    /// <summary>The most bytes that it takes of the host: what it may, or what the system once refused to go beyond.</summary>
    public long BudgetBytes { get; private set; }

    /// <summary>What the system said when it refused; null where it has granted all so far.</summary>
    public Exception? Refusal { get; private set; }

    /// <summary>Bytes that it has of the host, in use and free.</summary>
    public long AllocatedBytes { get; private set; }

    /// <summary>Bytes of them in use.</summary>
    public long UsedBytes { get; private set; }

    /// <summary>Bytes of a sequence with so many pages.</summary>
    public long BytesOf(int pages) => stateBytes + (pages * pageBytes);

    /// <summary>
    /// Queues the copying of a slot's states and these pages to the host; null where the budget is spent, unless it may be exceeded for what
    /// cannot be computed again, or where the system refuses.
    /// </summary>
    public SpilledSequence? Download(int slot, ReadOnlySpan<int> pages, bool mayExceed = false)
    {
        if (!TryReserve(pages.Length, mayExceed))
            return null;
        var spilled = new SpilledSequence(freeStates.Pop(), new HostBuffer<byte>[pages.Length]);
        UsedBytes += BytesOf(pages.Length);
        state.DownloadState(slot, spilled.State, 0);
        for (int block = 0; block < pages.Length; block++)
        {
            spilled.Pages[block] = freePages.Pop();
            state.DownloadPage(pages[block], spilled.Pages[block], 0);
        }

        return spilled;
    }

    /// <summary>Queues the copying back into a slot and pages, of which there may be more, and frees the host memory.</summary>
    public void Upload(SpilledSequence spilled, int slot, ReadOnlySpan<int> pages)
    {
        if (spilled.Pages.Length > pages.Length)
            throw new ArgumentException($"{spilled.Pages.Length} pages lie on the host, {pages.Length} are there for them");
        state.UploadState(slot, spilled.State, 0);
        for (int block = 0; block < spilled.Pages.Length; block++)
            state.UploadPage(pages[block], spilled.Pages[block], 0);
        Free(spilled);
    }

    /// <summary>Frees the host memory of a sequence that will not come back.</summary>
    public void Free(SpilledSequence spilled)
    {
        freeStates.Push(spilled.State);
        foreach (HostBuffer<byte> page in spilled.Pages)
            freePages.Push(page);
        UsedBytes -= BytesOf(spilled.Pages.Length);
    }

    /// <summary>Gives all that is free back to the system; copies from and to it must have been waited for.</summary>
    public void Dispose()
    {
        Release(freeStates, stateBytes);
        Release(freePages, pageBytes);
    }

    // As many free blocks as a sequence takes, so that taking them cannot fail.
    private bool TryReserve(int pages, bool mayExceed)
    {
        if (!mayExceed && UsedBytes + BytesOf(pages) > BudgetBytes)
            return false;
        long missingBytes = (Math.Max(0, 1 - freeStates.Count) * stateBytes) + (Math.Max(0, pages - freePages.Count) * pageBytes);
        if (AllocatedBytes + missingBytes > BudgetBytes)
        {
            // The free blocks are of the other kind.
            device.Synchronize();
            Dispose();
        }

        try
        {
            while (freeStates.Count < 1)
                Allocate(freeStates, stateBytes);
            while (freePages.Count < pages)
                Allocate(freePages, pageBytes);
            return true;
        }
        catch (Exception e) when (e is DriverCallException or OutOfMemoryException)
        {
            (Refusal, BudgetBytes) = (e, AllocatedBytes);
            return false;
        }
    }

    private void Allocate(Stack<HostBuffer<byte>> blocks, long bytes)
    {
        blocks.Push(new HostBuffer<byte>(device, bytes));
        AllocatedBytes += bytes;
    }

    private void Release(Stack<HostBuffer<byte>> blocks, long bytes)
    {
        while (blocks.TryPop(out HostBuffer<byte>? block))
        {
            device.Free(block);
            AllocatedBytes -= bytes;
        }
    }
}

/// <summary>A sequence's states and pages on the host.</summary>
/// <param name="State">Its delta states and conv tails.</param>
/// <param name="Pages">Its pages, in order of its 64-token blocks.</param>
internal sealed record SpilledSequence(HostBuffer<byte> State, HostBuffer<byte>[] Pages);
