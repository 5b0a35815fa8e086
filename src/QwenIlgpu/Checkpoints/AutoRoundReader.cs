namespace QwenIlgpu;

/// <summary>AutoRound's checkpoints, which are packed as GPTQ's or AWQ's; scales may be negative.</summary>
internal static class AutoRoundReader
{
    private const string Overrides = "extra_config";

    /// <summary>The packing that a section of <c>config.json</c> declares. Others are refused by name.</summary>
    public static QuantizedModules Read(JsonSection json)
    {
        if (json.Text("data_type") is not (null or "int"))
            throw json.Unsupported("data_type", "int");
        return json.Text("packing_format") switch
        {
            "auto_round:auto_gptq" or "auto_round:gptq" => GptqReader.Read(json, Int4Packing.GptqV1, Overrides),
            "auto_round:auto_awq" or "auto_round:awq" => AwqReader.Read(json, Overrides),
            null => throw json.Missing("packing_format"),
            _ => throw json.Unsupported("packing_format", "auto_round:auto_gptq, auto_round:auto_awq"),
        };
    }
}
