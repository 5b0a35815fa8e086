namespace QwenIlgpu.Tests;

/// <summary>What holds of a prefix tree and its page pool at any time.</summary>
internal static class PrefixTreeInvariants
{
    /// <summary>All pages of a tree.</summary>
    public static IEnumerable<int> PagesOf(PrefixTree tree) => PagesOf(tree.Root);

    /// <summary>Fails unless every page has exactly the tree and these others as owners, and every leaf a checkpoint.</summary>
    public static void Check(PrefixTree tree, PagePool pool, IEnumerable<int> otherPages)
    {
        int[] owners = new int[pool.Count + 1];
        foreach (int page in otherPages)
            owners[page]++;
        int pages = 0;
        var checkpoints = new HashSet<PrefixNode>();
        var seen = new HashSet<int>();
        var open = new Stack<PrefixNode>([tree.Root]);
        while (open.TryPop(out PrefixNode? node))
        {
            foreach (PrefixNode child in node.Children)
            {
                Assert.That(child.Parent, Is.SameAs(node));
                Assert.That(child.EndTokens, Is.EqualTo(node.EndTokens + (64 * child.Pages.Length)));
                Assert.That(child.Pages, Is.Not.Empty);
                Assert.That(child.HasChildren || child.State is not null, "a leaf without a checkpoint");
                foreach (int page in child.Pages)
                {
                    Assert.That(seen.Add(page), $"page {page} is in two places");
                    owners[page]++;
                    pages++;
                }

                if (child.State is not null)
                    checkpoints.Add(child);
                open.Push(child);
            }
        }

        Assert.That(tree.Pages, Is.EqualTo(pages));
        Assert.That(tree.Checkpoints, Is.EquivalentTo(checkpoints));
        Assert.That(Enumerable.Range(1, pool.Count).Select(pool.ReferencesOf), Is.EqualTo(owners[1..]));
        Assert.That(pool.Available, Is.EqualTo(owners[1..].Count(o => o == 0)));
    }

    private static IEnumerable<int> PagesOf(PrefixNode node) => node.Pages.Concat(node.Children.SelectMany(PagesOf));
}
