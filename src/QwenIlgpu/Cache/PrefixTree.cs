using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Prefixes of prompts that are still on the device, as a radix tree whose digits are pages of 64 tokens. A node holds the pages behind its
/// parent's, once each in the pool; where it has a checkpoint, a sequence can go on from its last token. Every leaf has one: pages that
/// nobody can go on from are not kept. What a state is, and where, only its store knows.
/// </summary>
internal sealed class PrefixTree
{
    private const int PageTokens = KvCache.PageTokens;

    private readonly PagePool pool;
    private readonly PrefixNode root = new(null, default, [], PrefixOrigin.Prefill);
    private readonly List<PrefixNode> checkpoints = [];
    private long clock;

    public PrefixTree(PagePool pool) => this.pool = pool;

    /// <summary>Told of each checkpoint that goes, whatever the reason.</summary>
    public Action<StateCopy> Dropped { get; init; } = static _ => { };

    /// <summary>Pages held.</summary>
    public int Pages { get; private set; }

    /// <summary>Nodes that a sequence can go on from.</summary>
    public IReadOnlyList<PrefixNode> Checkpoints => checkpoints;

    internal PrefixNode Root => root;

    /// <summary>What the tree has of a prompt.</summary>
    /// <param name="ids">The prompt.</param>
    /// <param name="mostTokens">A checkpoint behind more tokens than these is of no use.</param>
    /// <param name="admitted">The worst origin that is of use.</param>
    public PrefixMatch Match(ReadOnlyMemory<int> ids, int mostTokens, PrefixOrigin admitted)
    {
        var match = new PrefixMatch(null, PrefixOrigin.Prefill, 0);
        PrefixOrigin pagesOrigin = PrefixOrigin.Prefill;
        PrefixNode node = root;
        while (node.Child(ids[node.EndTokens..]) is { } child)
        {
            pagesOrigin = Worse(pagesOrigin, child.Origin);
            if (pagesOrigin > admitted)
                break;
            int blocks = child.CommonPages(ids[node.EndTokens..]);
            match = match with { SharedTokens = node.EndTokens + (blocks * PageTokens) };
            if (blocks < child.Pages.Length)
                break;
            node = child;
            if (node.EndTokens <= mostTokens && node.State is { } state && Worse(pagesOrigin, state.Origin) is var origin && origin <= admitted)
                match = match with { Checkpoint = node, Origin = origin };
        }

        return match;
    }

    /// <summary>A sequence goes on from a checkpoint: it and what leads there are the last to be given up.</summary>
    public void Touch(PrefixNode node) => node.LastUse = ++clock;

    /// <summary>
    /// Keeps a checkpoint and the pages that lead to it; those that the tree has already stay its own, unless they are of a worse origin.
    /// False, and the state is not taken, where there is a checkpoint already that is no worse.
    /// </summary>
    /// <param name="ids">The tokens up to the checkpoint, whole pages.</param>
    /// <param name="pages">Their pages.</param>
    /// <param name="state">The state behind them; its origin is that of the pages as well.</param>
    public bool Insert(ReadOnlyMemory<int> ids, ReadOnlySpan<int> pages, StateCopy state)
    {
        if (ids.Length == 0 || ids.Length % PageTokens != 0 || pages.Length != ids.Length / PageTokens)
            throw new ArgumentException($"{ids.Length} tokens are not those of {pages.Length} whole pages");
        if (Match(ids, ids.Length, state.Origin).Checkpoint?.EndTokens == ids.Length)
            return false;
        PrefixNode node = root;
        while (node.EndTokens < ids.Length)
        {
            ReadOnlyMemory<int> rest = ids[node.EndTokens..];
            ReadOnlySpan<int> restPages = pages[(node.EndTokens / PageTokens)..];
            if (node.Child(rest) is { } child)
            {
                int common = child.CommonPages(rest);
                node = common < child.Pages.Length ? child.Split(common) : child;
                Improve(node, restPages, state.Origin);
            }
            else
            {
                node = new PrefixNode(node, rest.ToArray(), restPages.ToArray(), state.Origin);
                node.Parent!.Add(node);
                foreach (int page in node.Pages)
                    pool.Share(page);
                Pages += node.Pages.Length;
            }
        }

        if (node.State is { } worse)
            Dropped(worse);
        else
            checkpoints.Add(node);
        node.State = state;
        Touch(node);
        return true;
    }

    /// <summary>Gives up a checkpoint, and the pages that lead to no other.</summary>
    public void Drop(PrefixNode node)
    {
        StateCopy state = node.State ?? throw new InvalidOperationException("the node has no checkpoint");
        node.State = null;
        checkpoints.Remove(node);
        Dropped(state);
        for (PrefixNode at = node; at is { Parent: { } parent, State: null, HasChildren: false }; at = parent)
        {
            foreach (int page in at.Pages)
                pool.Release(page);
            Pages -= at.Pages.Length;
            parent.Remove(at);
        }
    }

    /// <summary>Gives up the least recently used leaf whose pages nobody else holds; false where there is none.</summary>
    public bool DropOldestLeaf()
    {
        PrefixNode? oldest = Oldest(this, static (tree, node) => !node.HasChildren && node.Pages.All(page => tree.pool.ReferencesOf(page) == 1));
        if (oldest is not null)
            Drop(oldest);
        return oldest is not null;
    }

    /// <summary>The least recently used checkpoint of a kind; null where there is none.</summary>
    public PrefixNode? Oldest<T>(T argument, Func<T, PrefixNode, bool> isOfKind)
    {
        PrefixNode? oldest = null;
        foreach (PrefixNode node in checkpoints)
        {
            if ((oldest is null || node.LastUse < oldest.LastUse) && isOfKind(argument, node))
                oldest = node;
        }

        return oldest;
    }

    /// <summary>Gives up everything.</summary>
    public void Clear()
    {
        while (checkpoints.Count > 0)
            Drop(checkpoints[^1]);
    }

    private static PrefixOrigin Worse(PrefixOrigin one, PrefixOrigin other) => one > other ? one : other;

    // What prefill wrote takes the place of what decode wrote.
    private void Improve(PrefixNode node, ReadOnlySpan<int> pages, PrefixOrigin origin)
    {
        if (node.Origin <= origin)
            return;
        for (int i = 0; i < node.Pages.Length; i++)
        {
            pool.Share(pages[i]);
            pool.Release(node.Pages[i]);
            node.Pages[i] = pages[i];
        }

        node.Origin = origin;
    }
}

/// <summary>What a tree has of a prompt.</summary>
/// <param name="Checkpoint">The last one that a sequence can go on from; null for none.</param>
/// <param name="Origin">The worst of what leads there.</param>
/// <param name="SharedTokens">Tokens in whole pages that the tree has, up to the checkpoint and beyond.</param>
internal readonly record struct PrefixMatch(PrefixNode? Checkpoint, PrefixOrigin Origin, int SharedTokens)
{
    /// <summary>Tokens that need no prefill.</summary>
    public int CachedTokens => Checkpoint?.EndTokens ?? 0;

    /// <summary>Pages that these take.</summary>
    public int Pages => CachedTokens / KvCache.PageTokens;

    /// <summary>Writes these pages, in order.</summary>
    public void CopyPages(Span<int> pages)
    {
        for (PrefixNode? node = Checkpoint; node?.Parent is not null; node = node.Parent)
            node.Pages.CopyTo(pages[(node.Parent.EndTokens / KvCache.PageTokens)..]);
    }
}

/// <summary>Which steps wrote pages or a state; the two agree within a bound, not in bits. The worst comes last.</summary>
internal enum PrefixOrigin
{
    /// <summary>Prefill steps alone, from the first token on: what any sequence with these tokens would have.</summary>
    Prefill,

    /// <summary>Prefill steps of another engine of the same model and build, read from a session's file.</summary>
    Session,

    /// <summary>Decode steps, or prefill steps behind them.</summary>
    Decode,
}
