using System.Text.Json;

namespace QwenIlgpu;

/// <summary>The quantised modules of a checkpoint.</summary>
/// <param name="Codes">The tensor that a module has in place of its <c>weight</c>.</param>
/// <param name="Describe">Describes a module with a weight [N, K]: checkpoint, module, N, K.</param>
internal sealed record QuantizedModules(string Codes, Func<Checkpoint, string, int, int, ModuleEncoding> Describe);

/// <summary>The formats of quantised modules, and which of them <c>config.json</c> declares.</summary>
internal static class QuantizationConfig
{
    private const string Key = "quantization_config";
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
    ];

    /// <summary>The tensors that only quantised modules have, of any format.</summary>
    public static readonly string[] CodeTensors = [.. Enum.GetValues<Int4Packing>().Select(Int4Module.CodesOf).Distinct()];

    /// <summary>
    /// The format that <c>config.json</c> declares, or the <c>quantize_config.json</c> of older GPTQ writers beside it; null when neither
    /// does. Others are refused by name.
    /// </summary>
    public static QuantizedModules? Read(JsonSection root, ICollection<string> notices)
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
        string beside = Path.Combine(Path.GetDirectoryName(root.File)!, "quantize_config.json");
        return CheckpointFile.Exists(beside) ? GptqReader.Read(JsonSection.Load(beside)) : null;
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
