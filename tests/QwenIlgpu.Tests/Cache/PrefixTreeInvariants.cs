namespace QwenIlgpu.Tests;

/// <summary>What holds of a prefix tree and its page pool at any time.</summary>
internal static class PrefixTreeInvariants
{
    /// <summary>Throws unless every page has exactly the tree and these others as owners, and every leaf a checkpoint.</summary>
    public static void Check(PrefixTree tree, PagePool pool, IEnumerable<int> otherPages)
    {
        int[] owners = new int[pool.Count + 1];
        foreach (int page in PagesOf(tree))
        {
            if (owners[page]++ > 0)
                Fail($"page {page} is in two places");
        }

        int held = owners.Sum();
        foreach (int page in otherPages)
            owners[page]++;
        for (int page = 1; page < owners.Length; page++)
        {
            if (pool.ReferencesOf(page) != owners[page])
                Fail($"page {page} has {pool.ReferencesOf(page)} references and {owners[page]} owners");
        }

        if (pool.Available != owners[1..].Count(o => o == 0))
            Fail($"{pool.Available} pages are free, {owners[1..].Count(o => o == 0)} without owner");
        if (tree.Pages != held)
            Fail($"the tree counts {tree.Pages} pages and holds {held}");
        CheckNodes(tree);
    }

    /// <summary>All pages of a tree.</summary>
    public static IEnumerable<int> PagesOf(PrefixTree tree) => NodesOf(tree.Root).SelectMany(node => node.Pages);

    private static void CheckNodes(PrefixTree tree)
    {
        int checkpoints = 0;
        foreach (PrefixNode node in NodesOf(tree.Root))
        {
            if (node.Parent is not { } parent || !parent.Children.Contains(node))
            {
                if (node != tree.Root)
                    Fail("a node is not a child of its parent");
                continue;
            }

            if (node.Pages.Length == 0 || node.EndTokens != parent.EndTokens + (64 * node.Pages.Length))
                Fail($"a node of {node.Pages.Length} pages reaches from token {parent.EndTokens} to {node.EndTokens}");
            if (!node.HasChildren && node.State is null)
                Fail("a leaf has no checkpoint");
            if (node.State is not null && !tree.Checkpoints.Contains(node))
                Fail("a checkpoint is not listed");
            checkpoints += node.State is null ? 0 : 1;
        }

        if (tree.Checkpoints.Count != checkpoints)
            Fail($"{tree.Checkpoints.Count} checkpoints are listed, {checkpoints} there");
    }

    private static IEnumerable<PrefixNode> NodesOf(PrefixNode node) => node.Children.SelectMany(NodesOf).Prepend(node);

    private static void Fail(string message) => throw new AssertionException(message);
}
