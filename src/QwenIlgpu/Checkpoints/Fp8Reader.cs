namespace QwenIlgpu;

/// <summary>Official FP8 checkpoints: E4M3 with a scale for each block.</summary>
internal static class Fp8Reader
{
    private const string BlockKey = "weight_block_size";
    private const int MaxBlock = 1 << 20;

    /// <summary>What a section of <c>config.json</c> declares. Other formats are refused by name.</summary>
    public static QuantizedModules Read(JsonSection json)
    {
        if (json.Text("fmt") is not (null or "e4m3" or "float8_e4m3fn"))
            throw json.Unsupported("fmt", "e4m3");
        return ReadBlock(json, BlockKey);
    }

    /// <summary>The block, [rows, columns], that a section has at a key; the usual one where it has none.</summary>
    public static QuantizedModules ReadBlock(JsonSection json, string key)
    {
        if (!json.Has(key))
            return QuantizedModules.Undeclared;
        if (json.IntOrInts(key, 1, MaxBlock) is not [var rows, var columns])
            throw json.Invalid(key, "two numbers, rows and columns");

        // One scale serves whole groups of 32 inputs on a device.
        return columns % 32 == 0 && int.IsPow2(columns)
            ? new QuantizedModules(Fp8BlockRows: rows, Fp8BlockColumns: columns)
            : throw json.Unsupported(key, "blocks whose columns are a power of two from 32 on");
    }
}
