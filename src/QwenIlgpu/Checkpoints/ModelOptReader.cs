namespace QwenIlgpu;

/// <summary>
/// NVIDIA ModelOpt's checkpoints: FP8 and NVFP4, often both. Which module is what its own tensors tell, not <c>quantized_layers</c> and
/// <c>ignore</c>.
/// </summary>
internal static class ModelOptReader
{
    /// <summary>The file that older writers put beside <c>config.json</c>.</summary>
    public const string FileBeside = "hf_quant_config.json";

    private const string AlgorithmKey = "quant_algo";

    private static readonly string[] Algorithms =
    [
        "FP8", "FP8_PER_CHANNEL_PER_TOKEN", "FP8_PB_WO", "NVFP4", "W4A16_NVFP4", "W4A8_NVFP4_FP8", "MXFP4", "W4A16_MXFP4", "W4A8_MXFP4_FP8", "MIXED_PRECISION",
    ];

    /// <summary>What a section of <c>config.json</c> declares. Other algorithms are refused by name.</summary>
    public static QuantizedModules Read(JsonSection json)
    {
        RefuseAlgorithm(json);
        if (json.Section("quantized_layers") is { } layers)
        {
            foreach (string layer in layers.Keys)
            {
                if (layers.Section(layer) is { } section)
                    RefuseAlgorithm(section);
            }
        }

        return QuantizedModules.Undeclared;
    }

    /// <summary>What <see cref="FileBeside"/> declares.</summary>
    public static QuantizedModules ReadBeside(JsonSection file) => Read(file.Section("quantization") ?? throw file.Missing("quantization"));

    private static void RefuseAlgorithm(JsonSection json)
    {
        if (json.Text(AlgorithmKey) is { } algorithm && !Algorithms.Contains(algorithm))
            throw json.Unsupported(AlgorithmKey, string.Join(", ", Algorithms));
    }
}
