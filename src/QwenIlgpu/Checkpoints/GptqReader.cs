namespace QwenIlgpu;

/// <summary>
/// GPTQ, 4 bits, groups of consecutive inputs: what <c>config.json</c> says of it, and the tensors of a module. Which modules are packed, and
/// with what group size, their own tensors tell; <c>dynamic</c> only says which sizes there may be.
/// </summary>
internal static class GptqReader
{
    /// <summary>The packing that a section of <c>config.json</c> declares. Others are refused by name.</summary>
    public static QuantizedModules Read(JsonSection json)
    {
        if (json.Bool("is_marlin_format") == true)
            throw json.Unsupported("is_marlin_format", "false");
        if (json.Text("pack_dtype") is not (null or "int32"))
            throw json.Unsupported("pack_dtype", "int32");
        return json.Text("checkpoint_format") switch
        {
            null or "gptq" => Read(json, Int4Packing.GptqV1, "dynamic"),
            "gptq_v2" => Read(json, Int4Packing.GptqV2, "dynamic"),
            _ => throw json.Unsupported("checkpoint_format", "gptq (v1), gptq_v2"),
        };
    }

    /// <summary>Modules of the packing; overrides: the section that overrules the group size for some.</summary>
    public static QuantizedModules Read(JsonSection json, Int4Packing packing, string overrides)
    {
        Int4Module.RequireFourBits(json);
        return new QuantizedModules(new Int4Declaration(packing, Int4Module.ReadGroupSizes(json, overrides), IsSymmetric: json.Bool("sym") ?? true));
    }
}
