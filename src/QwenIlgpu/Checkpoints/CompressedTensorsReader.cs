using System.Collections.Immutable;

namespace QwenIlgpu;

/// <summary>
/// compressed-tensors: 4-bit integers ("pack-quantized"), NVFP4, MXFP4 and FP8, also several in one checkpoint. What <c>config.json</c> says
/// of them; which modules are quantised, and in which of the declared ways, their own tensors tell, not <c>targets</c> and <c>ignore</c>.
/// </summary>
internal static class CompressedTensorsReader
{
    private static readonly string[] Formats =
        ["pack-quantized", "nvfp4-pack-quantized", "mxfp4-pack-quantized", "float-quantized", "naive-quantized", "mixed-precision"];

    /// <summary>What a section of <c>config.json</c> declares. Other formats are refused by name.</summary>
    public static QuantizedModules Read(JsonSection json)
    {
        RefuseFormat(json);
        RefuseTransforms(json);
        JsonSection groups = json.Section("config_groups") ?? throw json.Missing("config_groups");
        QuantizedModules[] declared = [.. groups.Keys.Select(name => ReadGroup(groups, name))];
        if (declared.Length == 0)
            throw json.Invalid("config_groups", "an object of groups, one at least");
        ImmutableArray<int> sizes = [.. declared.SelectMany(d => d.Int4?.GroupSizes ?? []).Distinct()];
        (int, int)[] blocks = [.. declared.Where(d => d.Int4 is null).Select(d => (d.Fp8BlockRows, d.Fp8BlockColumns)).Distinct()];
        (int rows, int columns) = blocks.Length > 0 ? blocks[0] : (QuantizedModules.Undeclared.Fp8BlockRows, QuantizedModules.Undeclared.Fp8BlockColumns);
        return new QuantizedModules(sizes.Length > 0 ? new Int4Declaration(Int4Packing.CompressedTensors, sizes) : null, rows, columns);
    }

    private static QuantizedModules ReadGroup(JsonSection groups, string name)
    {
        JsonSection group = groups.Section(name) ?? throw groups.Missing(name);
        RefuseFormat(group);
        JsonSection weights = group.Section("weights") ?? throw group.Missing("weights");
        return weights.Text("type") switch
        {
            null or "int" => new QuantizedModules(ReadIntegers(weights)),
            "float" => ReadFloats(weights),
            _ => throw weights.Unsupported("type", "int, float"),
        };
    }

    private static Int4Declaration ReadIntegers(JsonSection weights)
    {
        Int4Module.RequireFourBits(weights, "num_bits");
        return new Int4Declaration(Int4Packing.CompressedTensors, weights.Text("strategy") switch
        {
            "channel" => [-1],
            null or "group" => Int4Module.ReadGroupSizes(weights),
            _ => throw weights.Unsupported("strategy", "group, channel"),
        });
    }

    // Of FP8 the scales' shape tells the rest, of FP4 their type.
    private static QuantizedModules ReadFloats(JsonSection weights)
    {
        switch (weights.RequiredInt("num_bits", int.MinValue, int.MaxValue), weights.Text("strategy"))
        {
            case (8, null or "tensor" or "channel"):
            case (4, null or "tensor_group" or "group"):
                return QuantizedModules.Undeclared;
            case (8, "block"):
                return Fp8Reader.ReadBlock(weights, "block_structure");
            case (8, _):
                throw weights.Unsupported("strategy", "tensor, channel, block");
            case (4, _):
                throw weights.Unsupported("strategy", "tensor_group, group");
            default:
                throw weights.Unsupported("num_bits", "4, 8");
        }
    }

    private static void RefuseFormat(JsonSection json)
    {
        if (json.Text("format") is { } format && !Formats.Contains(format))
            throw json.Unsupported("format", string.Join(", ", Formats));
    }

    // Rotations at run time, and weights without their zeros.
    private static void RefuseTransforms(JsonSection json)
    {
        if (json.Section("transform_config") is { } transforms && transforms.Keys.Any())
            throw json.Unsupported("transform_config", "none");
        if (json.Section("sparsity_config") is { } sparsity && sparsity.Text("format") is not (null or "dense"))
            throw sparsity.Unsupported("format", "dense");
    }
}
