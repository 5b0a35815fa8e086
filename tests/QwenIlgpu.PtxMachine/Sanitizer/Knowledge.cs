namespace QwenIlgpu.PtxMachine;

/// <summary>
/// Which accesses come before something: of each group those of its threads before a barrier's number, and of single threads those up to
/// and with one. A barrier makes what one thread knows known to its whole group, so releases are cumulative through barriers.
/// </summary>
internal sealed class Knowledge
{
    private readonly Dictionary<int, int> epochs = [];
    private readonly Dictionary<(int Group, int Thread), int> lastEpochs = [];

    public bool IsEmpty => epochs.Count == 0 && lastEpochs.Count == 0;

    public void Clear()
    {
        epochs.Clear();
        lastEpochs.Clear();
    }

    public bool Covers(int group, int epoch, int thread) =>
        (epochs.TryGetValue(group, out int bound) && epoch < bound)
        || (lastEpochs.TryGetValue((group, thread), out int last) && epoch <= last);

    /// <summary>All that the group's threads did before this barrier, and the thread since then.</summary>
    public void Add(int group, int epoch, int thread)
    {
        Raise(epochs, group, epoch);
        Raise(lastEpochs, (group, thread), epoch);
    }

    public void Join(Knowledge other)
    {
        foreach ((int group, int epoch) in other.epochs)
            Raise(epochs, group, epoch);
        foreach (((int, int) thread, int epoch) in other.lastEpochs)
            Raise(lastEpochs, thread, epoch);
    }

    private static void Raise<TKey>(Dictionary<TKey, int> values, TKey key, int value)
        where TKey : notnull
    {
        if (!values.TryGetValue(key, out int known) || known < value)
            values[key] = value;
    }
}

/// <summary>What a group knows of others: all its threads since the last barrier, and single ones by what they acquired after it.</summary>
internal sealed class GroupKnowledge
{
    private readonly Knowledge shared = new();
    private readonly Dictionary<int, Knowledge> acquired = [];
    private readonly Dictionary<int, Knowledge> fences = [];
    private readonly Dictionary<int, Knowledge> seen = [];

    public void Clear()
    {
        shared.Clear();
        acquired.Clear();
        fences.Clear();
        seen.Clear();
    }

    /// <summary>Whether the thread comes after that access of another group.</summary>
    public bool Covers(int thread, int otherGroup, int otherEpoch, int otherThread) =>
        shared.Covers(otherGroup, otherEpoch, otherThread)
        || (acquired.TryGetValue(thread, out Knowledge? own) && own.Covers(otherGroup, otherEpoch, otherThread));

    public void Acquire(int thread, Knowledge released) => Of(acquired, thread).Join(released);

    /// <summary>What the thread publishes when it releases now.</summary>
    public Knowledge Published(int group, int epoch, int thread)
    {
        var published = new Knowledge();
        published.Join(shared);
        if (acquired.TryGetValue(thread, out Knowledge? own))
            published.Join(own);
        published.Add(group, epoch, thread);
        return published;
    }

    /// <summary>A relaxed access saw what others released: a fence behind it acquires that.</summary>
    public void See(int thread, Knowledge released) => Of(seen, thread).Join(released);

    /// <summary>What a relaxed write publishes: all before the thread's last fence.</summary>
    public Knowledge? Fenced(int thread) => fences.GetValueOrDefault(thread);

    public void Fence(int group, int epoch, int thread)
    {
        if (seen.TryGetValue(thread, out Knowledge? released))
            Acquire(thread, released);
        fences[thread] = Published(group, epoch, thread);
    }

    /// <summary>At a barrier, what one thread knows becomes known to all.</summary>
    public void Share()
    {
        foreach (Knowledge own in acquired.Values)
            shared.Join(own);
        acquired.Clear();
    }

    /// <summary>Among some neighbouring threads, what one knows becomes known to each.</summary>
    public void Share(int firstThread, int threads)
    {
        var together = new Knowledge();
        for (int thread = firstThread; thread < firstThread + threads; thread++)
        {
            if (acquired.TryGetValue(thread, out Knowledge? own))
                together.Join(own);
        }

        if (together.IsEmpty)
            return;
        for (int thread = firstThread; thread < firstThread + threads; thread++)
            Of(acquired, thread).Join(together);
    }

    private static Knowledge Of(Dictionary<int, Knowledge> all, int thread)
    {
        if (!all.TryGetValue(thread, out Knowledge? own))
            all.Add(thread, own = new Knowledge());
        return own;
    }
}

/// <summary>What was released at each address of a launch; used under the lock of its atomics.</summary>
internal sealed class Releases
{
    private readonly Dictionary<ulong, Knowledge> byAddress = [];

    public Knowledge? At(ulong address) => byAddress.GetValueOrDefault(address);

    public void Release(ulong address, Knowledge published)
    {
        if (byAddress.TryGetValue(address, out Knowledge? before))
            before.Join(published);
        else
            byAddress.Add(address, published);
    }
}
