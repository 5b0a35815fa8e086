namespace QwenIlgpu;

/// <summary>Capacity of an <see cref="Engine"/>: what it allocates once, when it is made.</summary>
/// <example>
/// Sixteen sequences of up to 4,096 tokens that share a cache of 32,768:
/// <code>
/// var options = new EngineOptions { MaxSequences = 16, ContextTokens = 4096, CacheTokens = 32768 };
/// </code>
/// </example>
public sealed record EngineOptions
{
    /// <summary>Sequences that can be live at once, 1 to 64; further requests wait their turn. Default 4.</summary>
    public int MaxSequences { get; init; } = 4;

    /// <summary>
    /// Requests that may wait beside <see cref="MaxSequences"/> live ones; one more is refused with an <see cref="EngineQueueFullException"/>.
    /// 0 lets none wait. Default 1,024.
    /// </summary>
    public int MaxQueuedRequests { get; init; } = 1024;

    /// <summary>Longest sequence in tokens, prompt and answer together; 0 takes the model's own limit, but at most 32,768.</summary>
    public int ContextTokens { get; init; }

    /// <summary>
    /// Tokens of attention cache that all live sequences share, in pages of 64. 0, the default, takes <see cref="ContextTokens"/> for each of
    /// <see cref="MaxSequences"/>, as far as half of the memory that a GPU has free goes, or a quarter of the machine's elsewhere, and never
    /// less than one <see cref="ContextTokens"/>. A request takes the pages of its prompt when it becomes live, and another one for every 64 tokens
    /// that it draws. Where they run out the youngest gives up its own until there is room again, see <see cref="SpillBytes"/>; its answer stays the
    /// same.
    /// </summary>
    public int CacheTokens { get; init; }

    /// <summary>
    /// Most host memory, page-locked on CUDA, in bytes that keys, values and states of requests take which have given up their cache to older
    /// ones. What does not fit is computed again, prompt and answer so far, when there is room in the cache. Memory is taken when it is first
    /// needed and kept. Null, the default, allows 4 GiB or a quarter of the machine's memory, whichever is less; 0 allows none.
    /// </summary>
    public long? SpillBytes { get; init; }

    /// <summary>
    /// Most prompt tokens of one prefill step, all sequences together: a multiple of 64. 0, the default, takes what
    /// <see cref="ActivationBytes"/> allows, at most 2,048 on a GPU and 512 elsewhere.
    /// </summary>
    public int PrefillChunkTokens { get; init; }

    /// <summary>
    /// Most memory for the activations of a step, in bytes. 0 takes half of what weights and caches leave free on a GPU, and all of it
    /// elsewhere.
    /// </summary>
    public long ActivationBytes { get; init; }

    /// <summary>Element type of the attention cache. Default bf16.</summary>
    public KvType KvType { get; init; } = KvType.Bf16;

    /// <summary>Element type of the DeltaNet layers' recurrent states. Default f32.</summary>
    public DeltaStateType DeltaStateType { get; init; } = DeltaStateType.F32;

    /// <summary>On CUDA, whether decode steps are captured once and replayed as CUDA graphs. Default true; off only to compare.</summary>
    public bool CudaGraphs { get; init; } = true;

    /// <summary>
    /// Whether a prompt begins where an earlier one with the same tokens has been before. The default, exact, changes no bit of any answer.
    /// </summary>
    public PrefixCacheMode PrefixCache { get; init; } = PrefixCacheMode.Exact;

    /// <summary>
    /// States that the prefix cache keeps on the device, 1 to 256, each as large as that of a sequence. Default 4. Pages are kept as long as
    /// no request needs them.
    /// </summary>
    public int DeviceSnapshots { get; init; } = 4;

    /// <summary>
    /// Most host memory, page-locked on CUDA, for states that the prefix cache keeps beside those on the device, in bytes; 0 for none. Null, the
    /// default, takes 4 GiB or a quarter of the machine's memory, whichever is less. It is taken as states come.
    /// </summary>
    public long? HostSnapshotBytes { get; init; }

    // Beyond it a step takes no less time a token, and what waits for it longer.
    private const int MaxPrefillChunkTokens = 8192;

    // Of the host, for each of what may lie there; never more than a quarter of the machine's.
    private const long DefaultHostBytes = 4L << 30;

    /// <summary>Every default filled in but that of a prefill step; the cache's as far as <paramref name="cacheBudgetBytes"/> go.</summary>
    internal EngineCapacity Resolve(QwenConfig config, long cacheBudgetBytes = long.MaxValue)
    {
        const int PageTokens = Kernels.KvCache.PageTokens;
        Require(MaxSequences is >= 1 and <= 64, nameof(MaxSequences), MaxSequences, "from 1 to 64");
        Require(MaxQueuedRequests >= 0, nameof(MaxQueuedRequests), MaxQueuedRequests, "a number of requests, or 0 for none");
        Require(
            PrefillChunkTokens is >= 0 and <= MaxPrefillChunkTokens && PrefillChunkTokens % 64 == 0, nameof(PrefillChunkTokens), PrefillChunkTokens,
            $"a multiple of 64 up to {MaxPrefillChunkTokens}, or 0 for what memory allows");
        Require(ActivationBytes >= 0, nameof(ActivationBytes), ActivationBytes, "a number of bytes, or 0 for the default");
        Require(SpillBytes is null or >= 0, nameof(SpillBytes), SpillBytes, "a number of bytes, 0 for none, or null for the default");
        Require(
            ContextTokens >= 0 && ContextTokens <= config.MaxPositionEmbeddings, nameof(ContextTokens), ContextTokens,
            $"from 1 to the model's {config.MaxPositionEmbeddings}, or 0 for the default");
        Require(Enum.IsDefined(KvType), nameof(KvType), KvType, string.Join(" or ", Enum.GetNames<KvType>()));
        Require(Enum.IsDefined(DeltaStateType), nameof(DeltaStateType), DeltaStateType, string.Join(" or ", Enum.GetNames<DeltaStateType>()));
        Require(Enum.IsDefined(PrefixCache), nameof(PrefixCache), PrefixCache, string.Join(" or ", Enum.GetNames<PrefixCacheMode>()));
        Require(DeviceSnapshots is >= 1 and <= 256, nameof(DeviceSnapshots), DeviceSnapshots, $"from 1 to 256; {nameof(PrefixCache)} turns them off");
        Require(HostSnapshotBytes is null or >= 0, nameof(HostSnapshotBytes), HostSnapshotBytes, "a number of bytes, or null for the default");
        int context = ContextTokens == 0 ? Math.Min(config.MaxPositionEmbeddings, 32_768) : ContextTokens;
        Require(CacheTokens == 0 || CacheTokens >= context, nameof(CacheTokens), CacheTokens, $"at least ContextTokens ({context}), or 0 for the default");
        long pagesPerSequence = EngineCapacity.PagesOf(context);
        long pages = EngineCapacity.PagesOf(CacheTokens);
        if (CacheTokens == 0)
        {
            long pageBytes = PageTokens * Math.Max(1, config.KvBytesPerToken(KvType));
            pages = Math.Min(MaxSequences * pagesPerSequence, Math.Max(pagesPerSequence, cacheBudgetBytes / pageBytes));
        }

        long hostBytes = Math.Min(DefaultHostBytes, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4);
        return new EngineCapacity(
            context, MaxSequences, MaxQueuedRequests, (int)Math.Min(pages + 1, int.MaxValue), KvType, DeltaStateType, PrefillChunkTokens,
            ActivationBytes)
        {
            PrefixCache = PrefixCache,
            SnapshotSlots = PrefixCache == PrefixCacheMode.Off ? 0 : DeviceSnapshots,
            HostSnapshotBytes = HostSnapshotBytes ?? hostBytes,
            SpillBytes = SpillBytes ?? hostBytes,
        };
    }

    private static void Require<T>(bool holds, string option, T value, string rule, string parameter = "options")
    {
        if (!holds)
            throw new ArgumentOutOfRangeException(parameter, $"{option} is {value}; it must be {rule}");
    }
}
