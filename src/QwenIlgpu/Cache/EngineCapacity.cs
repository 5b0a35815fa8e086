using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>What an engine holds, every default filled in.</summary>
/// <param name="ContextTokens">Longest sequence, prompt and answer together.</param>
/// <param name="MaxSequences">Sequences that can be live at once.</param>
/// <param name="MaxQueuedRequests">Requests that may wait beside them.</param>
/// <param name="Pages">Pages of attention cache, the reserved one included.</param>
/// <param name="KvType">Their elements.</param>
/// <param name="DeltaStateType">Elements of the recurrent states.</param>
/// <param name="PrefillChunkTokens">Most prompt tokens of a step; 0 until the memory left beside the caches has been measured.</param>
/// <param name="ActivationBytes">Most memory of a step's activations; 0 for what that measurement allows.</param>
internal sealed record EngineCapacity(
    int ContextTokens, int MaxSequences, int MaxQueuedRequests, int Pages, KvType KvType, DeltaStateType DeltaStateType,
    int PrefillChunkTokens, long ActivationBytes)
{
    /// <summary>Slots of sequences, the reserved one included.</summary>
    public int Slots => MaxSequences + 1;

    /// <summary>Whether prompts begin where others have been.</summary>
    public PrefixCacheMode PrefixCache { get; init; } = PrefixCacheMode.Off;

    /// <summary>Slots of states beside those of sequences, for the prefix cache.</summary>
    public int SnapshotSlots { get; init; }

    /// <summary>Most host memory that states given up there take.</summary>
    public long HostSnapshotBytes { get; init; }

    /// <summary>Slots of states in all, those of sequences first.</summary>
    public int StateSlots => Slots + SnapshotSlots;

    /// <summary>Pages of the longest sequence.</summary>
    public int PagesPerSequence => (int)PagesOf(ContextTokens);

    /// <summary>Tokens that the pages hold, without the reserved one.</summary>
    public int CacheTokens => (int)Math.Min((Pages - 1L) * KvCache.PageTokens, int.MaxValue);

    /// <summary>
    /// Rows of the ring that a conv tail is: the taps, and one more for every further row that one step adds to a sequence before any is
    /// taken back.
    /// </summary>
    public int RingRows { get; init; } = 4;

    /// <summary>Most host memory of sequences that have given up their pages.</summary>
    public long SpillBytes { get; init; }

    /// <summary>Pages that so many tokens take.</summary>
    public static long PagesOf(long tokens) => (tokens + KvCache.PageTokens - 1) / KvCache.PageTokens;

    /// <summary>So many tokens rounded up to whole pages.</summary>
    public static int WholePages(int tokens) => checked((int)(PagesOf(tokens) * KvCache.PageTokens));
}
