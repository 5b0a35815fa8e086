using System.Collections.Immutable;
using System.Text.Json;

namespace QwenIlgpu;

/// <summary>Reads a <see cref="QwenConfig"/> from <c>config.json</c>, composite (with <c>text_config</c>) or text-only.</summary>
internal static class QwenConfigReader
{
    // Wide enough for any model, and narrow enough that no product of sizes overflows 64 bits.
    private const int MaxWidth = 1 << 24;
    private const int MaxHiddenSize = 1 << 20;
    private const int MaxLayers = 1 << 12;
    private const int MaxHeads = 1 << 16;
    private const int MaxHeadDim = 1 << 16;
    private const int MaxConvKernel = 1 << 8;
    private const int MaxExperts = 1 << 12;

    private const int DefaultInterval = 4;

    private const string TieKey = "tie_word_embeddings";

    /// <summary>
    /// The configuration in <paramref name="root"/>, checked: what the model cannot compute is refused here. A rope scaling that is asked
    /// for counts before the file's.
    /// </summary>
    public static QwenConfig Read(JsonSection root, ICollection<string> notices, RopeScaling? ropeScaling = null)
    {
        (JsonSection text, bool hasExperts) = TextSection(root);
        RefuseVariants(text);
        int headDim = text.RequiredInt("head_dim", 1, MaxHeadDim);
        RopeConfig rope = QwenRopeReader.Read(text, headDim, ropeScaling, notices);
        bool? tiesInText = text.Bool(TieKey);
        QwenConfig config = new()
        {
            VocabSize = text.RequiredInt("vocab_size", 1, MaxWidth),
            HiddenSize = text.RequiredInt("hidden_size", 1, MaxHiddenSize),
            IntermediateSize = text.RequiredInt(hasExperts ? "moe_intermediate_size" : "intermediate_size", 1, MaxWidth),
            Experts = hasExperts ? ReadExperts(text) : null,
            LayerTypes = ReadLayerTypes(text, text.RequiredInt("num_hidden_layers", 1, MaxLayers)),
            NumAttentionHeads = text.RequiredInt("num_attention_heads", 1, MaxHeads),
            NumKeyValueHeads = text.RequiredInt("num_key_value_heads", 1, MaxHeads),
            HeadDim = headDim,
            RotaryDim = rope.RotaryDim,
            RopeTheta = rope.Theta,
            Yarn = rope.Yarn,
            RmsNormEps = ReadEps(text),
            LinearNumKeyHeads = text.RequiredInt("linear_num_key_heads", 1, MaxHeads),
            LinearNumValueHeads = text.RequiredInt("linear_num_value_heads", 1, MaxHeads),
            LinearKeyHeadDim = text.RequiredInt("linear_key_head_dim", 1, MaxHeadDim),
            LinearValueHeadDim = text.RequiredInt("linear_value_head_dim", 1, MaxHeadDim),
            LinearConvKernelDim = text.RequiredInt("linear_conv_kernel_dim", 1, MaxConvKernel),
            MaxPositionEmbeddings = rope.Positions,
            TieWordEmbeddings = root.Bool(TieKey) ?? tiesInText ?? false,
            MtpNumHiddenLayers = text.NumberOrNull("mtp_num_hidden_layers") is >= 0 and <= MaxLayers and { } mtp ? (int)mtp : 0,
        };
        CheckWidths(text, config);
        NoticeContradictions(root, text, notices);
        return config;
    }

    // A composite file may repeat at its top level what text_config says. The text model's own section counts, but for the tied head.
    private static void NoticeContradictions(JsonSection root, JsonSection text, ICollection<string> notices)
    {
        foreach (string key in text.Asked.Where(key => key != "model_type").Order(StringComparer.Ordinal))
        {
            if (text != root && root.Value(key) is { } outer && text.Value(key) is { } inner && !JsonElement.DeepEquals(outer, inner))
            {
                notices.Add(
                    $"{root.File}: {key} is {JsonText.Shown(outer.GetRawText())}, {text.FullKey(key)} is {JsonText.Shown(inner.GetRawText())}; "
                    + $"{(key == TieKey ? key : text.FullKey(key))} counts");
            }
        }

        const string Interval = "full_attention_interval";
        if (text.Texts("layer_types") is { } types && text.NumberOrNull(Interval) is { } interval && interval > 0
            && types.Where((type, i) => (type == "full_attention") != ((i + 1) % interval == 0)).Any())
        {
            notices.Add($"{text.File}: {text.FullKey("layer_types")} and {Interval} {interval} differ; layer_types counts");
        }
    }

    // The section of the text model, and whether its feed-forward part is one of experts.
    private static (JsonSection Text, bool HasExperts) TextSection(JsonSection root)
    {
        const string Dense = "qwen3_5_text";
        const string Experts = "qwen3_5_moe_text";
        string modelType = root.Text("model_type") ?? throw root.Missing("model_type");
        switch (modelType)
        {
            case Dense or Experts:
                return (root, modelType == Experts);
            case "qwen3_5" or "qwen3_5_moe":
                JsonSection text = root.Section("text_config") ?? throw root.Missing("text_config");
                string expected = modelType == "qwen3_5" ? Dense : Experts;
                return (text.Text("model_type") ?? expected) == expected
                    ? (text, expected == Experts)
                    : throw text.Unsupported("model_type", $"{expected} inside {modelType}");
            default:
                throw root.Unsupported(
                    "model_type", $"qwen3_5 (with text_config) and {Dense}, as Qwen3.5, 3.6 and 3.8 have it; qwen3_5_moe and {Experts} can be described");
        }
    }

    private static MixtureOfExperts ReadExperts(JsonSection text)
    {
        if (text.IntOrInts("mlp_only_layers", 0, MaxLayers).Length > 0)
            throw text.Unsupported("mlp_only_layers", "[]");
        int count = text.RequiredInt("num_experts", 1, MaxExperts);
        return new MixtureOfExperts(
            count, text.RequiredInt("num_experts_per_tok", 1, count), text.RequiredInt("shared_expert_intermediate_size", 1, MaxWidth));
    }

    private static void RefuseVariants(JsonSection text)
    {
        if (text.Text("hidden_act") is not (null or "silu"))
            throw text.Unsupported("hidden_act", "silu");
        if (text.Bool("attention_bias") == true)
            throw text.Unsupported("attention_bias", "false");
        if (text.Bool("attn_output_gate") == false)
            throw text.Unsupported("attn_output_gate", "true");
        if (text.Text("output_gate_type") is not (null or "swish" or "silu"))
            throw text.Unsupported("output_gate_type", "swish, silu");
    }

    private static ImmutableArray<LayerType> ReadLayerTypes(JsonSection text, int layers)
    {
        const string Key = "layer_types";
        if (text.Texts(Key) is not ImmutableArray<string> names)
        {
            // Without a list, every interval-th layer is an attention layer; the family's configuration class has 4.
            int interval = text.Int("full_attention_interval", 1, MaxLayers) ?? DefaultInterval;
            return [.. Enumerable.Range(1, layers).Select(n => n % interval == 0 ? LayerType.FullAttention : LayerType.LinearAttention)];
        }

        if (names.Length != layers)
            throw new InvalidDataException($"{text.File}: {text.FullKey(Key)} lists {names.Length} layers, num_hidden_layers is {layers}");
        return
        [
            .. names.Select(name => name switch
            {
                "linear_attention" => LayerType.LinearAttention,
                "full_attention" => LayerType.FullAttention,
                _ => throw new NotSupportedException(
                    $"{text.File}: {text.FullKey(Key)} holds \"{JsonText.Shown(name)}\"; supported: linear_attention, full_attention"),
            }),
        ];
    }

    private static double ReadEps(JsonSection text)
    {
        double eps = text.Number("rms_norm_eps") ?? throw text.Missing("rms_norm_eps");
        return eps is >= 1e-12 and <= 1 ? eps : throw text.Invalid("rms_norm_eps", "from 1e-12 to 1");
    }

    private static void CheckWidths(JsonSection text, QwenConfig config)
    {
        Divides(text, "num_key_value_heads", config.NumKeyValueHeads, "num_attention_heads", config.NumAttentionHeads);
        Divides(text, "linear_num_key_heads", config.LinearNumKeyHeads, "linear_num_value_heads", config.LinearNumValueHeads);
        if (config.Experts is { } experts)
            Fits(text, "num_experts · moe_intermediate_size", (long)experts.Count * config.IntermediateSize);
        Fits(text, "num_attention_heads · head_dim", (long)config.NumAttentionHeads * config.HeadDim);
        Fits(text, "linear_num_key_heads · linear_key_head_dim", (long)config.LinearNumKeyHeads * config.LinearKeyHeadDim);
        Fits(text, "linear_num_value_heads · linear_value_head_dim", (long)config.LinearNumValueHeads * config.LinearValueHeadDim);
    }

    private static void Divides(JsonSection text, string divisorKey, int divisor, string key, int value)
    {
        if (value % divisor != 0)
            throw new InvalidDataException($"{text.File}: {text.FullKey(key)} is {value}, must be a multiple of {divisorKey}, {divisor}");
    }

    private static void Fits(JsonSection text, string product, long value)
    {
        if (value > MaxWidth)
            throw new InvalidDataException($"{text.File}: {text.FullKey(product)} is {value}, must be at most {MaxWidth}");
    }
}
