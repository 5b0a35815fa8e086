using System.Text.Json;

namespace QwenIlgpu;

/// <summary>How the checkpoint's quantised modules are packed: GPTQ v1, 4 bits, symmetric, groups of consecutive inputs.</summary>
/// <param name="GroupSize">Inputs that share a scale.</param>
internal sealed record GptqConfig(int GroupSize)
{
    private const string Key = "quantization_config";
    private const int SupportedGroupSize = 128;

    /// <summary>The packing that <c>config.json</c> declares, null when it declares none. Others are refused by name.</summary>
    public static GptqConfig? Read(JsonSection root, ICollection<string> notices)
    {
        JsonSection? inner = root.Section("text_config");
        if (root.Has(Key) && inner?.Has(Key) == true && !JsonElement.DeepEquals(root.Value(Key)!.Value, inner.Value(Key)!.Value))
        {
            Read(inner.Section(Key)!);
            notices.Add($"{root.File}: {Key} and {inner.FullKey(Key)} differ; {Key} counts");
        }

        return (root.Section(Key) ?? inner?.Section(Key)) is { } json ? Read(json) : null;
    }

    private static GptqConfig Read(JsonSection json)
    {
        string method = json.Text("quant_method") ?? throw json.Missing("quant_method");
        if (method != "gptq")
            throw json.Unsupported("quant_method", "gptq");
        if (!json.Has("bits"))
            throw json.Missing("bits");
        RefuseFormats(json);
        RefusePackings(json);
        JsonSection? dynamic = json.Section("dynamic");
        foreach (string pattern in dynamic?.Keys ?? [])
        {
            // "-:" leaves modules plain; any other pattern may change how they are packed.
            if (!pattern.StartsWith("-:", StringComparison.Ordinal) && dynamic!.Section(pattern) is JsonSection overrides)
                RefusePackings(overrides);
        }

        return new GptqConfig(SupportedGroupSize);
    }

    private static void RefuseFormats(JsonSection json)
    {
        if (json.Text("checkpoint_format") is not (null or "gptq"))
            throw json.Unsupported("checkpoint_format", "gptq (v1)");
        if (json.Bool("is_marlin_format") == true)
            throw json.Unsupported("is_marlin_format", "false");
        if (json.Text("pack_dtype") is not (null or "int32"))
            throw json.Unsupported("pack_dtype", "int32");
    }

    private static void RefusePackings(JsonSection json)
    {
        if (Whole(json, "bits") is not (null or 4))
            throw json.Unsupported("bits", "4");
        if (Whole(json, "group_size") is not (null or SupportedGroupSize))
            throw json.Unsupported("group_size", "128");
        if (json.Bool("sym") == false)
            throw json.Unsupported("sym", "true");
        if (json.Bool("desc_act") == true)
            throw json.Unsupported("desc_act", "false");
    }

    private static int? Whole(JsonSection json, string key) => json.Int(key, int.MinValue, int.MaxValue);
}
