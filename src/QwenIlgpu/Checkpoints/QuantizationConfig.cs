using System.Text.Json;

namespace QwenIlgpu;

/// <summary>The formats of quantised modules, and which of them <c>config.json</c> declares.</summary>
internal static class QuantizationConfig
{
    /// <summary>The section that declares them.</summary>
    public const string Key = "quantization_config";

    private const string MethodKey = "quant_method";

    // What MLX writes, beside a quantization_config without a method.
    private const string MlxKey = "quantization";

    // By quant_method: what reads the rest of the section and then describes modules.
    private static readonly (string Method, Func<JsonSection, QuantizedModules> Read)[] Formats =
    [
        ("gptq", GptqReader.Read),
        ("awq", AwqReader.Read),
        ("auto-round", AutoRoundReader.Read),
        ("compressed-tensors", CompressedTensorsReader.Read),
        ("fp8", Fp8Reader.Read),
        ("modelopt", ModelOptReader.Read),
    ];

    /// <summary>
    /// What <c>config.json</c> declares, or a file that some writers put beside it instead: <c>quantize_config.json</c> of GPTQ,
    /// <c>hf_quant_config.json</c> of ModelOpt. Other formats are refused by name.
    /// </summary>
    public static QuantizedModules Read(JsonSection root, ICollection<string> notices)
    {
        JsonSection? inner = root.Section("text_config");
        if (root.Has(Key) && inner?.Has(Key) == true && !JsonElement.DeepEquals(root.Value(Key)!.Value, inner.Value(Key)!.Value))
        {
            Read(inner.Section(Key)!);
            notices.Add($"{root.File}: {Key} and {inner.FullKey(Key)} differ; {Key} counts");
        }

        JsonSection? json = root.Section(Key) ?? inner?.Section(Key);
        if (root.Has(MlxKey) && json?.Has(MethodKey) != true)
            throw root.Unsupported(MlxKey, $"{WeightFormats.Supported}; this section is MLX's");
        if (json is not null)
            return Read(json);
        return Beside("quantize_config.json") is { } gptq ? GptqReader.Read(gptq)
            : Beside(ModelOptReader.FileBeside) is { } modelOpt ? ModelOptReader.ReadBeside(modelOpt)
            : QuantizedModules.Undeclared;

        JsonSection? Beside(string name)
        {
            string file = Path.Combine(Path.GetDirectoryName(root.File)!, name);
            return CheckpointFile.Exists(file) ? JsonSection.Load(file) : null;
        }
    }

    private static QuantizedModules Read(JsonSection json)
    {
        string method = json.Text(MethodKey) ?? throw json.Missing(MethodKey);
        int format = Array.FindIndex(Formats, f => f.Method == method);
        return format >= 0
            ? Formats[format].Read(json)
            : throw json.Unsupported(MethodKey, WeightFormats.Supported);
    }
}
