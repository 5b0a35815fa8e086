namespace QwenIlgpu.Tests;

[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class PrefixTreeTests
{
    private readonly PagePool pool = new(200);
    private readonly List<int> dropped = [];

    [Test]
    public void TheLongestCheckpointThatLeavesATokenIsFound()
    {
        PrefixTree tree = Tree();
        Insert(tree, "ab", 1);
        Insert(tree, "abcd", 2);
        int[] prompt = Blocks("abcd");

        PrefixMatch shorter = tree.Match(prompt, prompt.Length - 1, PrefixOrigin.Prefill);
        PrefixMatch whole = tree.Match(Blocks("abcde"), 5 * 64, PrefixOrigin.Prefill);

        Assert.That((shorter.CachedTokens, shorter.SharedTokens), Is.EqualTo((128, 256)));
        Assert.That((whole.CachedTokens, whole.SharedTokens, whole.Checkpoint!.State!.Slot), Is.EqualTo((256, 256, 2)));
    }

    // The last token of a page differs: what agrees in 63 tokens of a page agrees in none.
    [Test]
    public void OnlyWholePagesAreShared()
    {
        PrefixTree tree = Tree();
        Insert(tree, "abc", 1);

        Assert.That(tree.Match(Blocks("abd"), 192, PrefixOrigin.Prefill).SharedTokens, Is.EqualTo(128));
        Assert.That(tree.Match(Blocks("abc").AsMemory(0, 191), 191, PrefixOrigin.Prefill).SharedTokens, Is.EqualTo(128));
        Assert.That(tree.Match(Blocks("bbc"), 192, PrefixOrigin.Prefill).SharedTokens, Is.Zero);
    }

    [Test]
    public void APathThatPartsInsideANodeSplitsIt()
    {
        PrefixTree tree = Tree();
        int[] first = Insert(tree, "abcd", 1);
        int[] second = Insert(tree, "abxy", 2);

        PrefixMatch match = tree.Match(Blocks("abxyz"), 5 * 64, PrefixOrigin.Prefill);

        int[] pages = new int[4];
        match.CopyPages(pages);
        Assert.That(pages, Is.EqualTo(new[] { first[0], first[1], second[2], second[3] }), "the first pages are those that were there");
        Assert.That(tree.Pages, Is.EqualTo(6));
        PrefixTreeInvariants.Check(tree, pool, [.. first, .. second]);
    }

    [Test]
    public void WhatDecodeWroteIsSeenByThoseWhoAdmitIt()
    {
        PrefixTree tree = Tree();
        Insert(tree, "ab", 1);
        Insert(tree, "abcd", 2, PrefixOrigin.Decode);

        PrefixMatch exact = tree.Match(Blocks("abcde"), 320, PrefixOrigin.Prefill);
        PrefixMatch reuse = tree.Match(Blocks("abcde"), 320, PrefixOrigin.Decode);

        Assert.That((exact.CachedTokens, exact.SharedTokens, exact.Origin), Is.EqualTo((128, 128, PrefixOrigin.Prefill)));
        Assert.That((reuse.CachedTokens, reuse.SharedTokens, reuse.Origin), Is.EqualTo((256, 256, PrefixOrigin.Decode)));
    }

    [Test]
    public void WhatPrefillWroteReplacesWhatDecodeWroteAndIsReplacedByNothing()
    {
        PrefixTree tree = Tree();
        int[] decoded = Insert(tree, "abcd", 1, PrefixOrigin.Decode);
        int[] prefilled = Insert(tree, "abc", 2);
        Insert(tree, "abc", 3, PrefixOrigin.Decode, isTaken: false);

        PrefixMatch match = tree.Match(Blocks("abcde"), 320, PrefixOrigin.Prefill);
        int[] pages = new int[3];
        match.CopyPages(pages);

        Assert.That(pages, Is.EqualTo(prefilled));
        Assert.That(tree.Match(Blocks("abcde"), 320, PrefixOrigin.Decode).CachedTokens, Is.EqualTo(256));
        Insert(tree, "abcd", 4);
        Assert.That(tree.Match(Blocks("abcde"), 320, PrefixOrigin.Prefill).Checkpoint!.State!.Slot, Is.EqualTo(4));
        Assert.That(dropped, Is.EqualTo(new[] { 1 }));
        Assert.That(decoded.Select(pool.ReferencesOf), Is.All.EqualTo(1), "only their sequence still owns them");
    }

    [Test]
    public void TheOldestLeafThatNobodyUsesGoes()
    {
        PrefixTree tree = Tree();
        Release(Insert(tree, "ab", 1));
        Release(Insert(tree, "abc", 2));
        int[] live = Insert(tree, "x", 3);
        Release(Insert(tree, "y", 4));
        tree.Touch(tree.Match(Blocks("abcd"), 256, PrefixOrigin.Prefill).Checkpoint!);

        while (tree.DropOldestLeaf())
        {
        }

        Assert.That(dropped, Is.EqualTo(new[] { 4, 2, 1 }), "y is older than the touched abc, ab is no leaf before abc is gone, x is in use");
        Assert.That(pool.Available, Is.EqualTo(pool.Count - 1));
        Release(live);
        tree.Clear();
        Assert.That(pool.Available, Is.EqualTo(pool.Count));
    }

    [Test]
    public void ACheckpointBelowAnotherGoesWithoutItsPages()
    {
        PrefixTree tree = Tree();
        Release(Insert(tree, "ab", 1));
        Release(Insert(tree, "abcd", 2));

        tree.Drop(tree.Match(Blocks("abx"), 192, PrefixOrigin.Prefill).Checkpoint!);

        Assert.That((tree.Pages, tree.Match(Blocks("abx"), 192, PrefixOrigin.Prefill).CachedTokens), Is.EqualTo((4, 0)));
        Assert.That(tree.Match(Blocks("abcde"), 320, PrefixOrigin.Prefill).CachedTokens, Is.EqualTo(256));
        tree.Clear();
        PrefixTreeInvariants.Check(tree, pool, []);
    }

    [TestCase(0, 0)]
    [TestCase(65, 1)]
    [TestCase(128, 1)]
    [TestCase(128, 3)]
    public void PartsOfPagesAreRefused(int tokens, int pages)
    {
        PrefixTree tree = Tree();

        Assert.That(
            () => tree.Insert(new int[tokens], new int[pages], new StateCopy(1, PrefixOrigin.Prefill)),
            Throws.ArgumentException.With.Message.EqualTo($"{tokens} tokens are not those of {pages} whole pages"));
    }

    private PrefixTree Tree() => new(pool) { Dropped = copy => dropped.Add(copy.Slot) };

    private int[] Insert(PrefixTree tree, string blocks, int slot, PrefixOrigin origin = PrefixOrigin.Prefill, bool isTaken = true)
    {
        int[] pages = [.. blocks.Select(_ => pool.Take())];
        Assert.That(tree.Insert(Blocks(blocks), pages, new StateCopy(slot, origin)), Is.EqualTo(isTaken));
        return pages;
    }

    private void Release(int[] pages)
    {
        foreach (int page in pages)
            pool.Release(page);
    }

    private static int[] Blocks(string blocks) => [.. blocks.SelectMany(block => Enumerable.Repeat(7, 63).Append(block))];
}
