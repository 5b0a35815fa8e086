using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// The requests that have a slot and pages, in order of arrival; and the slots and pages that there are. A request is added with the pages
/// of its prompt, and of what it has drawn before; <see cref="PageGrowth"/> gives it further ones.
/// </summary>
internal sealed class LiveRequests(ModelState state, PagePool pages, PrefixCache prefixes)
{
    private readonly List<IRequest> requests = [];

    public int Count => requests.Count;

    public IRequest Youngest => requests[^1];

    public NumberPool Slots { get; } = new(state.Capacity.Slots);

    public PagePool Pages => pages;

    public IRequest this[int index] => requests[index];

    public List<IRequest>.Enumerator GetEnumerator() => requests.GetEnumerator();

    /// <summary>All of them, in order of arrival.</summary>
    public IReadOnlyList<IRequest> All => requests;

    /// <summary>Pages that a request is added with.</summary>
    public static int PagesFor(IRequest request) => (int)EngineCapacity.PagesOf(request.RoomTokens);

    /// <summary>
    /// Pages that are left free when a request is added beside others: one for each that can still grow, itself included, or the youngest
    /// would soon have to give up what it has just been given.
    /// </summary>
    public int PagesToLeave(IRequest added)
    {
        if (Count == 0)
            return 0;
        int pages = CanGrow(added, PagesFor(added)) ? 1 : 0;
        foreach (IRequest request in requests)
            pages += CanGrow(request, request.Sequence.PageCount) ? 1 : 0;
        return pages;
    }

    /// <summary>
    /// Whether there is a slot for a request, and pages besides those of its match; the prefix cache gives up what nobody uses for them.
    /// </summary>
    public bool HasRoomFor(IRequest request, in PrefixMatch match) =>
        Slots.Available > 0 && prefixes.MakeRoom(PagesFor(request) - match.Pages + PagesToLeave(request));

    /// <summary>Adds a request for which there is room, the youngest; the pages of its match, held for it, are its first.</summary>
    public void Add(IRequest request, in PrefixMatch match)
    {
        // Live before the device is asked for anything: if it fails, the request ends with all others.
        requests.Add(request);
        SequenceProgress sequence = request.Sequence;
        sequence.Slot = Slots.Take();
        sequence.AddPages(match);
        while (sequence.PageCount < PagesFor(request))
            sequence.AddPage(Pages.Take());
        state.SetPages(sequence.Slot, sequence.Pages);
    }

    /// <summary>One more page for a request, if one is free.</summary>
    public bool TryGrow(IRequest request)
    {
        if (!prefixes.MakeRoom(1))
            return false;
        SequenceProgress sequence = request.Sequence;
        int page = Pages.Take();
        state.SetPage(sequence.Slot, sequence.PageCount, page);
        sequence.AddPage(page);
        return true;
    }

    /// <summary>
    /// Takes a request's slot and pages, which others may be given at once: whatever is still queued for it comes before anything that is
    /// queued for them.
    /// </summary>
    public void Remove(IRequest request)
    {
        requests.Remove(request);
        SequenceProgress sequence = request.Sequence;
        prefixes.Forget(sequence);
        Slots.Return(sequence.Slot);
        foreach (int page in sequence.Pages)
            Pages.Release(page);
        sequence.ClearPages();
        sequence.Slot = 0;
    }

    /// <summary>The same for good: what steps in flight yield for it is discarded.</summary>
    public void End(IRequest request)
    {
        if (request.Sequence.Retired)
            return;
        prefixes.KeepAnswer(request);
        Retire(request);
    }

    /// <summary>Ends a request that cannot be served.</summary>
    public void Fail(IRequest request, Exception error)
    {
        if (!request.Sequence.Retired)
            Retire(request);
        request.Fail(error);
    }

    private void Retire(IRequest request)
    {
        request.Sequence.Retired = true;
        Remove(request);
    }

    private static bool CanGrow(IRequest request, int pages) => pages < request.Sequence.NeededPages;
}
