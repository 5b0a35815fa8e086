using System.Text.Json;

namespace QwenIlgpu;

/// <summary>Describes a quantised module with a weight [N, K] that a checkpoint holds in its own format.</summary>
internal delegate ModuleEncoding QuantizedModules(Checkpoint checkpoint, string module, int outFeatures, int inFeatures);

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
        ("gptq", static json => GptqReader.Read(json).Describe),
    ];

    /// <summary>The format that is declared, null when none is. Others are refused by name.</summary>
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
            throw root.Unsupported(MlxKey, WeightFormats.Supported);
        return json is null ? null : Read(json);
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
