using System.Collections.Immutable;

namespace QwenIlgpu;

/// <summary>
/// compressed-tensors' "pack-quantized", 4-bit integers: what <c>config.json</c> says of it, and the tensors of a module. Which modules are
/// packed, and in which of the declared groups, their own tensors tell, not <c>targets</c> and <c>ignore</c>.
/// </summary>
internal static class CompressedTensorsReader
{
    private const string Format = "pack-quantized";

    /// <summary>The packing that a section of <c>config.json</c> declares. Others are refused by name.</summary>
    public static QuantizedModules Read(JsonSection json)
    {
        RefuseFormat(json);
        JsonSection groups = json.Section("config_groups") ?? throw json.Missing("config_groups");
        ImmutableArray<int> sizes = [.. groups.Keys.SelectMany(name => Read(groups, name)).Distinct()];
        if (sizes.Length == 0)
            throw json.Invalid("config_groups", "an object of groups, one at least");
        return Int4Module.Of(Int4Packing.CompressedTensors, sizes);
    }

    // The group size of a config group.
    private static ImmutableArray<int> Read(JsonSection groups, string name)
    {
        JsonSection group = groups.Section(name) ?? throw groups.Missing(name);
        RefuseFormat(group);
        JsonSection weights = group.Section("weights") ?? throw group.Missing("weights");
        Int4Module.RequireFourBits(weights, "num_bits");
        if (weights.Text("type") is not (null or "int"))
            throw weights.Unsupported("type", "int");
        return weights.Text("strategy") switch
        {
            "channel" => [-1],
            null or "group" => Int4Module.ReadGroupSizes(weights),
            _ => throw weights.Unsupported("strategy", "group, channel"),
        };
    }

    private static void RefuseFormat(JsonSection json)
    {
        if (json.Text("format") is not (null or Format))
            throw json.Unsupported("format", Format);
    }
}
