using System.Text.Json.Nodes;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cli.Plan;

/// <summary>A memory plan, and how long a context fits with each type of cache, as JSON and as tables.</summary>
internal sealed class PlanReport
{
    private const double Gibibyte = 1L << 30;

    private readonly string model;
    private readonly DeviceRoom memory;
    private readonly MemoryPlan plan;
    private readonly bool isOfHost;
    private readonly (KvType Type, long BytesPerToken, int Tokens)[] largest;

    public PlanReport(QwenModel model, MemoryPlanner planner, DeviceRoom memory, EngineCapacity capacity)
    {
        (this.model, this.memory, plan) = (model.Path, memory, planner.Plan(capacity));
        isOfHost = !model.Device.Loader.RunsWarpKernels;
        largest =
        [
            .. Enum.GetValues<KvType>().Select(type => (
                type, model.Config.KvBytesPerToken(type), planner.LargestContextTokens(capacity, type))),
        ];
    }

    public MemoryPlan Plan => plan;

    /// <summary>What the plan is of, in a line.</summary>
    public string Title => FormattableString.Invariant(
        $"{model}: {plan.Capacity.MaxSequences} × {plan.Capacity.ContextTokens} tokens, cache in {ModelArguments.WordOf(plan.Capacity.KvType)}");

    public JsonObject ToJson()
    {
        JsonObject report = Head();
        report["weight_bytes"] = plan.WeightBytes;
        report["cache_bytes"] = plan.CacheBytes;
        report["state_bytes"] = plan.StateBytes;
        report["recurrent_bytes"] = plan.RecurrentBytes;
        report["conv_tail_bytes"] = plan.ConvTailBytes;
        report["snapshot_bytes"] = plan.SnapshotBytes;
        report["activation_bytes"] = plan.ActivationBytes;
        report["graph_bytes"] = plan.GraphBytes;
        report["buffer_bytes"] = plan.BufferBytes;
        report["driver_bytes"] = plan.DriverBytes;
        report["draft_cache_bytes"] = 0;                        // the draft layer is not loaded
        AddTotals(report);
        report["largest_context_tokens"] = largest.First(l => l.Type == plan.Capacity.KvType).Tokens;
        report["largest_contexts"] = Largest();
        if (isOfHost)
        {
            // Of what the plan leaves of the same memory, taken only as it is needed.
            report["host_snapshot_bytes"] = plan.Capacity.HostSnapshotBytes;
            report["spill_bytes"] = plan.Capacity.SpillBytes;
        }

        return report;
    }

    /// <summary>The same for people: parts as rows.</summary>
    public void Write(TextWriter writer)
    {
        JsonObject report = Head();
        IEnumerable<MemoryPart> rows = plan.Parts.Where(p => p.Bytes > 0).Append(new MemoryPart("total", plan.TotalBytes));
        report["parts"] = new JsonArray([.. rows.Select(p => new JsonObject
        {
            ["part"] = p.Name,
            ["bytes"] = p.Bytes,
            ["GiB"] = JsonOutput.Rounded(p.Bytes / Gibibyte, 3),
            ["percent_of_memory"] = JsonOutput.Rounded(100.0 * p.Bytes / plan.MemoryBytes, 2),
        })]);
        AddTotals(report);
        report["largest_contexts"] = Largest();
        JsonTable.Write(writer, report);
    }

    private JsonObject Head() => new()
    {
        ["model"] = model,
        ["memory"] = memory.Name,
        ["context_tokens"] = plan.Capacity.ContextTokens,
        ["sequences"] = plan.Capacity.MaxSequences,
        ["kv_type"] = ModelArguments.WordOf(plan.Capacity.KvType),
        ["state_type"] = ModelArguments.WordOf(plan.Capacity.DeltaStateType),
        ["prefill_chunk_tokens"] = plan.Capacity.PrefillChunkTokens,
    };

    private void AddTotals(JsonObject report)
    {
        report["total_bytes"] = plan.TotalBytes;
        report["memory_bytes"] = plan.MemoryBytes;
        report["fits"] = plan.Fits;
        report["twin_bytes"] = plan.TwinBytes;
        report["saved_percent"] = JsonOutput.Rounded(plan.SavedPercent, 2);
    }

    private JsonArray Largest() => new([.. largest.Select(l => new JsonObject
    {
        ["kv_type"] = ModelArguments.WordOf(l.Type),
        ["cache_bytes_per_token"] = l.BytesPerToken,
        ["largest_context_tokens"] = l.Tokens,
    })]);
}
