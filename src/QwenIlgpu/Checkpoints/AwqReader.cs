namespace QwenIlgpu;

/// <summary>
/// AutoAWQ's "gemm" packing, 4 bits: what <c>config.json</c> says of it, and the tensors of a module. Which modules are packed their own
/// tensors tell, not <c>modules_to_not_convert</c>.
/// </summary>
internal static class AwqReader
{
    /// <summary>The packing that a section of <c>config.json</c> declares. Others are refused by name.</summary>
    public static QuantizedModules Read(JsonSection json)
    {
        if (json.Text("version") is { } version && !version.Equals("gemm", StringComparison.OrdinalIgnoreCase))
            throw json.Unsupported("version", "gemm");
        return Read(json, overrides: null);
    }

    /// <summary>Modules of the packing; overrides: the section that overrules the group size for some.</summary>
    public static QuantizedModules Read(JsonSection json, string? overrides)
    {
        Int4Module.RequireFourBits(json);
        return new QuantizedModules(new Int4Declaration(Int4Packing.Awq, Int4Module.ReadGroupSizes(json, overrides)));
    }
}
