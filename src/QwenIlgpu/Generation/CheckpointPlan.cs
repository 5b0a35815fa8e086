using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Where the states of a prompt are worth keeping: where another prompt can still agree with it. A conversation that goes on is rendered
/// again without the header of the turn that was asked for, and perhaps without the thoughts of the turns before, so that it agrees up to
/// the last end of turn; one whose last message is edited agrees up to the end of turn before that. Two prompts that have parted once
/// part there again. Where neither is so, as in a prompt of one long text, every 4,096 tokens is a place to go on from.
/// </summary>
internal static class CheckpointPlan
{
    /// <summary>Most checkpoints of one request: each takes a slot as large as a sequence's state.</summary>
    public const int MaxCheckpoints = 3;

    /// <summary>Without anything better, checkpoints lie at multiples of this.</summary>
    public const int SpacingTokens = 4096;

    /// <summary>
    /// Tokens behind which checkpoints lie, the most useful first: behind the last end of turn, or at the prompt's end where it has none;
    /// where the tree's prompts part from this one; behind the end of turn before; at the end of a long turn that is not over; at multiples
    /// of 4,096, from the end. Each is rounded down to whole pages; all are beyond <paramref name="resumedTokens"/> and leave a token to
    /// prefill for who asks the same again.
    /// </summary>
    /// <param name="ids">The prompt.</param>
    /// <param name="endIds">Ids that end a turn.</param>
    /// <param name="resumedTokens">Where its own prefill begins.</param>
    /// <param name="sharedTokens">Tokens that it shares with another prompt, in whole pages.</param>
    public static int[] Of(ReadOnlySpan<int> ids, IReadOnlySet<int> endIds, int resumedTokens, int sharedTokens)
    {
        var places = new List<int>(MaxCheckpoints);
        int last = BehindLastEnd(ids, endIds);
        Add(last > 0 ? last : ids.Length, ids.Length);
        Add(sharedTokens, ids.Length);
        if (last > 0)
            Add(BehindLastEnd(ids[..(last - 1)], endIds), ids.Length);
        if (ids.Length - last >= KvCache.PageTokens)
            Add(ids.Length, ids.Length);
        for (int tokens = (ids.Length - 1) / SpacingTokens * SpacingTokens; tokens > resumedTokens; tokens -= SpacingTokens)
            Add(tokens, ids.Length);
        return [.. places];

        void Add(int tokens, int length)
        {
            int whole = Math.Min(tokens, length - 1) / KvCache.PageTokens * KvCache.PageTokens;
            if (whole > resumedTokens && places.Count < MaxCheckpoints && !places.Contains(whole))
                places.Add(whole);
        }
    }

    // Tokens up to the last end of turn, itself included; 0 where there is none.
    private static int BehindLastEnd(ReadOnlySpan<int> ids, IReadOnlySet<int> endIds)
    {
        int at = ids.Length;
        while (at > 0 && !endIds.Contains(ids[at - 1]))
            at--;
        return at;
    }
}
