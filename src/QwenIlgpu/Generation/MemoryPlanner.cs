using System.Globalization;

namespace QwenIlgpu;

/// <summary>
/// Plans engines of one model on a device with so much memory. The model's matrices need not be there: what they take, and what a step's
/// activations take, follows from their shapes.
/// </summary>
/// <param name="model">The model, or one whose weights are only measured.</param>
/// <param name="weightBytes">What its weights take once they are there.</param>
/// <param name="memory">What there is, for the weights as well.</param>
/// <param name="options">How steps will be recorded and run; null takes the defaults.</param>
internal sealed class MemoryPlanner(QwenModel model, long weightBytes, DeviceRoom memory, StepRunnerOptions? options = null)
{
    // Allowances, for nobody tells what the driver keeps of a captured launch.
    private const long GraphLaunchBytes = 16 << 10;
    private const long GraphOwnBytes = 1 << 20;

    private const int TwinElementBytes = 2;

    private readonly StepRunnerOptions options = options ?? new StepRunnerOptions();
    private readonly Dictionary<(KvType Type, int Splits, StepShape Shape), OpGraph> recorded = [];

    private bool IsGpu => model.Device.Loader.RunsWarpKernels;

    /// <summary>The planner of an engine whose model is on its device already.</summary>
    public static MemoryPlanner Of(QwenModel model, StepRunnerOptions? options = null)
    {
        DeviceRoom free = DeviceRoom.Of(model.Device);
        return new MemoryPlanner(model, model.WeightBytes, free with { Bytes = free.Bytes + model.WeightBytes }, options);
    }

    /// <summary>Refuses an engine for which there is no room beside a model that is about to be loaded.</summary>
    /// <param name="unfilled">The model, its weights only measured.</param>
    /// <param name="engine">The engine; a context beyond the model's own is its to refuse.</param>
    /// <exception cref="InsufficientMemoryException">There is none; the message is that of <see cref="Require"/>.</exception>
    public static void RequireRoom(QwenModel unfilled, EngineOptions engine)
    {
        EngineOptions asked = engine with { ContextTokens = Math.Min(engine.ContextTokens, unfilled.MaxContextTokens) };
        EngineCapacity capacity = asked.Resolve(unfilled.Config, DeviceRoom.DefaultCacheBytes(unfilled.Device, unfilled.WeightBytes));
        var options = new StepRunnerOptions(Graphs: engine.CudaGraphs);
        new MemoryPlanner(unfilled, unfilled.WeightBytes, DeviceRoom.Of(unfilled.Device), options).Require(capacity);
    }

    /// <summary>
    /// What an engine of this capacity takes, whether it fits or not. Where no length of a prefill step is asked for it is the longest whose
    /// activations take half of what is left on a GPU, or all of it elsewhere.
    /// </summary>
    /// <exception cref="InsufficientMemoryException">No prefill step fits the bytes that the capacity names for activations.</exception>
    public MemoryPlan Plan(EngineCapacity capacity)
    {
        OpGraph[] decoding = [.. Buckets(capacity.MaxSequences).Select(b => Record(StepShape.Decode(b), capacity))];
        long graphBytes = IsGpu && options.Graphs ? decoding.Sum(g => GraphOwnBytes + (GraphLaunchBytes * g.Nodes.Sum(n => n.LaunchCount))) : 0;
        int mostTokens = capacity.PrefillChunkTokens != 0 ? capacity.PrefillChunkTokens : PrefillBudget.MostTokens(model.Device);
        long heldBytes = StepBuffers.Measure(model, capacity, mostTokens);
        long leftBytes = Math.Max(0, memory.Bytes - weightBytes - heldBytes - graphBytes - memory.DriverBytes);
        long budgetBytes = capacity.ActivationBytes != 0 ? capacity.ActivationBytes : IsGpu ? leftBytes / 2 : leftBytes;
        PrefillBudget prefill = PrefillBudget.Fit(capacity, mostTokens, budgetBytes, shape => Record(shape, capacity).ArenaBytes);
        if (prefill.ChunkTokens < mostTokens)
            heldBytes = StepBuffers.Measure(model, capacity, prefill.ChunkTokens);

        QwenConfig config = model.Config;
        long cacheBytes = config.KvBytesPerToken(capacity.KvType) * Kernels.KvCache.PageTokens * (capacity.Pages - 1L);
        long recurrentBytes = config.RecurrentBytesPerSequence(capacity.DeltaStateType.ElementBytes());
        long tailBytes = (long)config.NumLinearAttentionLayers * capacity.RingRows * config.LinearConvChannels * sizeof(float);
        long stateBytes = capacity.MaxSequences * (recurrentBytes + tailBytes);
        long snapshotBytes = capacity.SnapshotSlots * (recurrentBytes + tailBytes);
        var plan = new MemoryPlan
        {
            Capacity = capacity with { PrefillChunkTokens = prefill.ChunkTokens },
            MemoryBytes = memory.Bytes,
            WeightBytes = weightBytes,
            CacheBytes = cacheBytes,
            RecurrentBytes = capacity.MaxSequences * recurrentBytes,
            ConvTailBytes = capacity.MaxSequences * tailBytes,
            SnapshotBytes = snapshotBytes,
            BufferBytes = heldBytes - cacheBytes - stateBytes - snapshotBytes,
            ActivationBytes = Math.Max(prefill.ArenaBytes, decoding.Max(g => g.ArenaBytes)),
            GraphBytes = graphBytes,
            DriverBytes = memory.DriverBytes,
            TwinBytes = TwinBytesPerToken(config) * capacity.MaxSequences * capacity.ContextTokens,
        };
        return plan with { Capacity = WithHostBudgets(plan) };
    }

    /// <summary>The plan, if it fits.</summary>
    /// <exception cref="InsufficientMemoryException">It does not; the message has what was asked for, every part, the memory, and what would fit.</exception>
    public MemoryPlan Require(EngineCapacity capacity)
    {
        MemoryPlan plan = Plan(capacity);
        return plan.Fits ? plan : throw new InsufficientMemoryException(Refusal(plan));
    }

    /// <summary>The longest context that fits where every sequence of the capacity has it at once, in this type of cache; 0 where none does.</summary>
    public int LargestContextTokens(EngineCapacity capacity, KvType kvType)
    {
        int most = model.Config.MaxPositionEmbeddings;
        int fits = 0;
        int fitsNot = (int)EngineCapacity.PagesOf(most) + 1;
        while (fitsNot - fits > 1)
        {
            int pages = fits + ((fitsNot - fits) / 2);
            if (Plan(WithContext(capacity, kvType, pages)).Fits)
                fits = pages;
            else
                fitsNot = pages;
        }

        return Math.Min(fits * Kernels.KvCache.PageTokens, most);
    }

    /// <summary>Bytes of keys and values of a token where every layer is one of full attention, in bf16.</summary>
    public static long TwinBytesPerToken(QwenConfig config) =>
        2L * config.NumHiddenLayers * config.NumKeyValueHeads * config.HeadDim * TwinElementBytes;

    private static EngineCapacity WithContext(EngineCapacity capacity, KvType kvType, int pages) => capacity with
    {
        ContextTokens = pages * Kernels.KvCache.PageTokens,
        Pages = checked((capacity.MaxSequences * pages) + 1),
        KvType = kvType,
    };

    private static IEnumerable<int> Buckets(int maxSequences)
    {
        for (int bucket = 1; bucket <= StepShape.BucketOf(maxSequences); bucket *= 2)
            yield return bucket;
    }

    // Where the host is the device, what moves out of the device's slots and pages stays in the same memory.
    private EngineCapacity WithHostBudgets(MemoryPlan plan)
    {
        if (IsGpu)
            return plan.Capacity;
        long eachBytes = Math.Max(0, plan.MemoryBytes - plan.TotalBytes) / 3;
        return plan.Capacity with
        {
            HostSnapshotBytes = Math.Min(plan.Capacity.HostSnapshotBytes, eachBytes),
            SpillBytes = Math.Min(plan.Capacity.SpillBytes, eachBytes),
        };
    }

    // Activations depend on the context only by the splits of the longest row, which are merged from a scratch of their own.
    private OpGraph Record(StepShape shape, EngineCapacity capacity)
    {
        (KvType, int, StepShape) key = (capacity.KvType, Kernels.SplitPlan.MostOf(capacity.PagesPerSequence), shape);
        if (recorded.TryGetValue(key, out OpGraph? known))
            return known;
        using var measuring = new DeviceMemory(model.Device) { IsMeasuring = true };
        var state = new ModelState(model.Device, measuring, model.Config, capacity);
        var inputs = new StepInputs(model.Device, measuring, StepInputs.CountFor(shape, state.DeltaLayerCount));
        var sampling = new SamplingState(
            model.Device, measuring, model.SamplingVocabulary, capacity.Slots, shape.Sequences, shape.ScoredRows, capacity.ContextTokens);
        OpGraph graph = StepRunner.Record(model, inputs, sampling, state, shape, options, tickets: default).Graph;
        recorded.Add(key, graph);
        return graph;
    }

    private string Refusal(MemoryPlan plan)
    {
        EngineCapacity capacity = plan.Capacity;
        string parts = string.Join(", ", plan.Parts.Where(p => p.Bytes > 0).Select(p => Invariant($"{p.Name} {p.Bytes}")));
        string asked = Invariant(
            $"{model.Path} with {capacity.MaxSequences} sequences of up to {capacity.ContextTokens} tokens and a cache of {capacity.CacheTokens} tokens in {capacity.KvType}");
        return Invariant($"{asked} takes {plan.TotalBytes} bytes ({parts}); {memory.Name} has {plan.MemoryBytes} bytes for it. {Advice(capacity)}");
    }

    // Less memory for a token first, then all types that reach further than the one asked for.
    private string Advice(EngineCapacity capacity)
    {
        int own = LargestContextTokens(capacity, capacity.KvType);
        string others = string.Join(", ", Enum.GetValues<KvType>()
            .Where(t => model.Config.KvBytesPerToken(t) < model.Config.KvBytesPerToken(capacity.KvType))
            .Select(t => (Type: t, Tokens: LargestContextTokens(capacity, t)))
            .Where(t => t.Tokens > own)
            .Select(t => Invariant($"{t.Tokens} with {nameof(EngineOptions.KvType)} {t.Type}")));
        string largest = own == 0
            ? Invariant($"No context fits in {capacity.KvType}")
            : Invariant($"The largest context of {capacity.MaxSequences} sequences that fits is {own} tokens");
        return $"{largest}{(others.Length > 0 ? $", {others}" : "")}; lower {nameof(EngineOptions.CacheTokens)}, {nameof(EngineOptions.ContextTokens)} or {nameof(EngineOptions.MaxSequences)}";
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
