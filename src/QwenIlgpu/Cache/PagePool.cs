namespace QwenIlgpu;

/// <summary>
/// Pages of the attention cache, each with the number of its owners; one that none owns is free. Page 0 is reserved for padding and
/// never handed out. One thread uses it.
/// </summary>
internal sealed class PagePool
{
    private readonly int[] references;
    private readonly NumberPool free;

    /// <summary>Of so many pages, the reserved one included.</summary>
    public PagePool(int pages)
    {
        references = new int[pages];
        free = new NumberPool(pages);
    }

    /// <summary>Pages that there are, without the reserved one.</summary>
    public int Count => free.Count;

    /// <summary>Pages that nobody owns.</summary>
    public int Available => free.Available;

    /// <summary>Owners of a page.</summary>
    public int ReferencesOf(int page) => references[page];

    /// <summary>A free page, now with one owner.</summary>
    /// <exception cref="InvalidOperationException">None is free.</exception>
    public int Take()
    {
        int page = free.Take();
        references[page] = 1;
        return page;
    }

    /// <summary>One more owner for a page that has one.</summary>
    /// <exception cref="InvalidOperationException">Nobody owns the page.</exception>
    public void Share(int page)
    {
        RequireOwned(page);
        references[page]++;
    }

    /// <summary>One owner fewer; the last one's page is free.</summary>
    /// <exception cref="InvalidOperationException">Nobody owns the page.</exception>
    public void Release(int page)
    {
        RequireOwned(page);
        if (--references[page] == 0)
            free.Return(page);
    }

    private void RequireOwned(int page)
    {
        if (references[page] == 0)
            throw new InvalidOperationException($"page {page} of {references.Length} has no owner");
    }
}
