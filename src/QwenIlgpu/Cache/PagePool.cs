namespace QwenIlgpu;

/// <summary>Pages that several holders share: a page is free once the last of them has released it. Page 0 is reserved for padding.</summary>
internal sealed class PagePool(int count)
{
    private readonly NumberPool free = new(count);
    private readonly int[] holders = new int[count];

    /// <summary>Pages that can be handed out in all.</summary>
    public int Count => free.Count;

    public int Available => free.Available;

    /// <summary>A free page, held once.</summary>
    public int Take()
    {
        int page = free.Take();
        holders[page] = 1;
        return page;
    }

    /// <summary>Adds a holder to a page that has one.</summary>
    public void Share(int page)
    {
        if (holders[page] == 0)
            throw new InvalidOperationException($"page {page} is free: nobody can share it");
        holders[page]++;
    }

    /// <summary>Takes a holder from a page.</summary>
    public void Release(int page)
    {
        if (holders[page] == 0)
            throw new InvalidOperationException($"page {page} is free: nobody can release it");
        if (--holders[page] == 0)
            free.Return(page);
    }

    /// <summary>How many hold a page.</summary>
    public int HoldersOf(int page) => holders[page];
}
