namespace QwenIlgpu.Tests;

/// <summary>A prefix tree in the hands of random sequences, against a dictionary of all prefixes.</summary>
internal sealed class PrefixTreeRandomTests
{
    private const int PoolPages = 60;

    private readonly Dictionary<string, Kept> prefixes = [];            // of whole pages, by their digits
    private readonly List<int[]> live = [];
    private PagePool pool = null!;
    private PrefixTree tree = null!;
    private Random random = null!;
    private int nextSlot;
    private long clock;

    [TestCase(1, 400)]
    [TestCase(2, 400)]
    [TestCase(3, 40_000, Category = "Exhaustive")]
    public void AgreesWithADictionary(int seed, int operations)
    {
        (random, pool) = (new Random(seed), new PagePool(PoolPages + 1));
        tree = new PrefixTree(pool) { Dropped = copy => Forget(copy.Slot) };
        prefixes.Clear();
        live.Clear();
        for (int i = 0; i < operations; i++)
        {
            switch (random.Next(6))
            {
                case 0 or 1:
                    Admit(Digits());
                    break;
                case 2 when live.Count > 0:
                    Retire(random.Next(live.Count));
                    break;
                case 3:
                    DropLeaf();
                    break;
                case 4 when tree.Oldest(0, static (_, _) => true) is { } oldest:
                    string expected = prefixes.Where(p => p.Value.State is not null).MinBy(p => p.Value.LastUse).Key;
                    Assert.That(oldest.EndTokens, Is.EqualTo(64 * expected.Length));
                    Assert.That(oldest.State!.Slot, Is.EqualTo(prefixes[expected].State!.Slot));
                    tree.Drop(oldest);
                    break;
            }

            Match(Digits());
            PrefixTreeInvariants.Check(tree, pool, live.SelectMany(pages => pages));
            Assert.That(tree.Pages, Is.EqualTo(prefixes.Count));
        }

        while (live.Count > 0)
            Retire(0);
        tree.Clear();
        Assert.That((pool.Available, tree.Pages, prefixes.Count), Is.EqualTo((PoolPages, 0, 0)));
    }

    private PrefixMatch Match(string digits)
    {
        PrefixOrigin admitted = (PrefixOrigin)random.Next(2);
        int most = random.Next(1, (64 * digits.Length) + 2);
        PrefixMatch match = tree.Match(Ids(digits), most, admitted);

        string shared = "";
        string best = "";
        PrefixOrigin worst = PrefixOrigin.Prefill;
        PrefixOrigin bestOrigin = PrefixOrigin.Prefill;
        for (int length = 1; length <= digits.Length && prefixes.TryGetValue(digits[..length], out Kept? kept); length++)
        {
            worst = (PrefixOrigin)Math.Max((int)worst, (int)kept.Origin);
            if (worst > admitted)
                break;
            shared = digits[..length];
            if (kept.State is { } state && state.Origin <= admitted && 64 * length <= most)
                (best, bestOrigin) = (shared, (PrefixOrigin)Math.Max((int)worst, (int)state.Origin));
        }

        Assert.That((match.CachedTokens, match.SharedTokens, match.Origin), Is.EqualTo((64 * best.Length, 64 * shared.Length, bestOrigin)));
        int[] pages = new int[best.Length];
        match.CopyPages(pages);
        Assert.That(pages, Is.EqualTo(Enumerable.Range(1, best.Length).Select(length => prefixes[best[..length]].Page)));
        return match;
    }

    // As the engine does: the pages of a match are shared, the rest are its own; some checkpoints of it are kept.
    private void Admit(string digits)
    {
        PrefixMatch match = Match(digits);
        int[] pages = new int[digits.Length];
        match.CopyPages(pages);
        foreach (int page in pages[..match.Pages])
            pool.Share(page);
        live.Add(pages[..match.Pages]);
        while (pool.Available < digits.Length - match.Pages)
        {
            if (!DropLeaf())
                return;
        }

        if (match.Checkpoint is { State: not null } checkpoint)
        {
            tree.Touch(checkpoint);
            prefixes[digits[..match.Pages]].LastUse = ++clock;
        }

        for (int block = match.Pages; block < pages.Length; block++)
            pages[block] = pool.Take();
        live[^1] = pages;
        PrefixOrigin origin = (PrefixOrigin)Math.Max(random.Next(2), (int)match.Origin);
        foreach (int length in Enumerable.Range(1, digits.Length).Where(length => length > match.Pages && random.Next(3) == 0))
            Insert(digits[..length], pages[..length], origin);
    }

    private void Insert(string digits, int[] pages, PrefixOrigin origin)
    {
        var state = new StateCopy(++nextSlot, origin);
        bool isNoBetter = prefixes.TryGetValue(digits, out Kept? known) && known.State is { } there
            && Enumerable.Range(1, digits.Length).All(length => prefixes[digits[..length]].Origin <= origin) && there.Origin <= origin;
        if (!isNoBetter)
        {
            for (int length = 1; length <= digits.Length; length++)
            {
                if (!prefixes.TryGetValue(digits[..length], out Kept? kept) || kept.Origin > origin)
                    prefixes[digits[..length]] = new Kept(pages[length - 1], origin) { State = kept?.State, LastUse = kept?.LastUse ?? 0 };
            }

            known = prefixes[digits];
            (known.State, known.LastUse) = (state, ++clock);
        }

        Assert.That(tree.Insert(Ids(digits), pages, state), Is.EqualTo(!isNoBetter));
    }

    private bool DropLeaf()
    {
        string[] leaves = [.. prefixes.Keys.Where(p => !prefixes.Keys.Any(other => other.Length > p.Length && other.StartsWith(p, StringComparison.Ordinal)))];
        bool anyUnused = leaves.Any(leaf => Path(leaf).All(p => live.All(pages => !pages.Contains(p.Page))));
        var states = leaves.ToDictionary(leaf => leaf, leaf => prefixes[leaf]);

        bool isDropped = tree.DropOldestLeaf();

        string[] gone = [.. leaves.Where(leaf => !prefixes.ContainsKey(leaf))];
        Assert.That(gone, Has.Length.EqualTo(isDropped ? 1 : 0));
        Assert.That(isDropped || !anyUnused, "a leaf that nobody uses is left");
        if (isDropped)
        {
            IEnumerable<string> older = leaves.Where(leaf => states[leaf].LastUse < states[gone[0]].LastUse);
            Assert.That(older.All(leaf => Path(leaf).Any(p => live.Any(pages => pages.Contains(p.Page)))), "an older leaf is not in use");
        }

        return isDropped;
    }

    private IEnumerable<Kept> Path(string digits) => Enumerable.Range(1, digits.Length).Select(length => prefixes[digits[..length]]);

    // A checkpoint has gone: with it go the prefixes that lead to no other.
    private void Forget(int slot)
    {
        string? at = prefixes.FirstOrDefault(p => p.Value.State?.Slot == slot).Key;
        if (at is null)
            return;                                                     // replaced by a better one
        prefixes[at].State = null;
        for (; at.Length > 0 && prefixes[at].State is null && !prefixes.Keys.Any(p => p.Length > at.Length && p.StartsWith(at, StringComparison.Ordinal)); at = at[..^1])
            prefixes.Remove(at);
    }

    private void Retire(int index)
    {
        foreach (int page in live[index])
            pool.Release(page);
        live.RemoveAt(index);
    }

    private string Digits() => string.Concat(Enumerable.Range(0, random.Next(1, 8)).Select(_ => (char)('a' + random.Next(2))));

    private static int[] Ids(string digits) => [.. digits.SelectMany(digit => Enumerable.Repeat(7, 63).Append(digit))];

    private sealed class Kept(int page, PrefixOrigin origin)
    {
        public int Page => page;

        public PrefixOrigin Origin => origin;

        public StateCopy? State { get; set; }

        public long LastUse { get; set; }
    }
}
