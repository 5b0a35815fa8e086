using System.Globalization;

namespace QwenIlgpu.Bench;

/// <summary>A dense model with random weights as llama.cpp's architecture `qwen35` reads it: metadata and tensors, without MTP.</summary>
internal sealed class GgufModel(string name, QwenConfig config, GgufType layerType)
{
    private const string Architecture = "qwen35";
    private const int NormalToken = 1;
    private const int ControlToken = 3;
    private const int NewlineId = 198;

    private int QueryKeyWidth => config.LinearNumKeyHeads * config.LinearKeyHeadDim;

    private int ValueWidth => config.LinearNumValueHeads * config.LinearValueHeadDim;

    public GgufFile ToFile(int seed) => new([.. Metadata()], [.. Tensors()], seed);

    public IEnumerable<(string Key, object Value)> Metadata()
    {
        yield return ("general.architecture", Architecture);
        yield return ("general.name", name);
        yield return ("general.file_type", layerType == GgufType.Q4Zero ? 2u : 7u);
        yield return ("general.quantization_version", 2u);
        foreach ((string key, object value) in Shape())
            yield return ($"{Architecture}.{key}", value);
        foreach ((string key, object value) in Tokenizer())
            yield return ($"tokenizer.ggml.{key}", value);
    }

    public IEnumerable<GgufTensor> Tensors()
    {
        yield return Matrix("token_embd.weight", config.HiddenSize, config.VocabSize, GgufType.Q8Zero);
        for (int layer = 0; layer < config.NumHiddenLayers; layer++)
        {
            string scope = string.Create(CultureInfo.InvariantCulture, $"blk.{layer}.");
            IEnumerable<GgufTensor> mixer = config.LayerTypes[layer] == LayerType.FullAttention ? Attention() : DeltaNet();
            foreach (GgufTensor tensor in mixer.Concat(FeedForward()))
                yield return tensor with { Name = scope + tensor.Name };
        }

        yield return Ones("output_norm.weight", config.HiddenSize);
        if (!config.TieWordEmbeddings)
            yield return Matrix("output.weight", config.HiddenSize, config.VocabSize, GgufType.Q8Zero);
    }

    private IEnumerable<(string Key, object Value)> Shape() =>
    [
        ("block_count", (uint)config.NumHiddenLayers),
        ("context_length", (uint)config.MaxPositionEmbeddings),
        ("embedding_length", (uint)config.HiddenSize),
        ("feed_forward_length", (uint)config.IntermediateSize),
        ("attention.head_count", (uint)config.NumAttentionHeads),
        ("attention.head_count_kv", (uint)config.NumKeyValueHeads),
        ("attention.key_length", (uint)config.HeadDim),
        ("attention.value_length", (uint)config.HeadDim),
        ("attention.layer_norm_rms_epsilon", (float)config.RmsNormEps),
        ("rope.dimension_count", (uint)config.RotaryDim),
        ("rope.dimension_sections", Sections(config.RotaryDim / 2)),
        ("rope.freq_base", (float)config.RopeTheta),
        ("ssm.conv_kernel", (uint)config.LinearConvKernelDim),
        ("ssm.state_size", (uint)config.LinearKeyHeadDim),
        ("ssm.group_count", (uint)config.LinearNumKeyHeads),
        ("ssm.time_step_rank", (uint)config.LinearNumValueHeads),
        ("ssm.inner_size", (uint)ValueWidth),
        ("full_attention_interval", (uint)(config.LayerTypes.IndexOf(LayerType.FullAttention) + 1)),
    ];

    // Frequencies by time, height and width; they matter to images alone.
    private static int[] Sections(int frequencies) => [frequencies - (2 * (frequencies / 3)), frequencies / 3, frequencies / 3, 0];

    // The least that llama.cpp accepts: names for all ids, a newline, an end of turn, one merge. Nothing is ever tokenized.
    private IEnumerable<(string Key, object Value)> Tokenizer()
    {
        string[] tokens = [.. Enumerable.Range(0, config.VocabSize).Select(id => string.Create(CultureInfo.InvariantCulture, $"<{id}>"))];
        int[] types = new int[tokens.Length];
        Array.Fill(types, NormalToken);
        tokens[NewlineId] = "Ċ";
        foreach (int id in config.EosTokenIds)
            types[id] = ControlToken;
        return
        [
            ("model", "gpt2"),
            ("pre", Architecture),
            ("tokens", tokens),
            ("token_type", types),
            ("merges", (string[])["< 0"]),
            ("eos_token_id", (uint)config.EosTokenIds[0]),
            ("padding_token_id", (uint)config.EosTokenIds[^1]),
            ("add_bos_token", false),
        ];
    }

    private IEnumerable<GgufTensor> DeltaNet() =>
    [
        new("ssm_a", GgufType.F32, [config.LinearNumValueHeads], 0, -1),
        new("ssm_dt.bias", GgufType.F32, [config.LinearNumValueHeads], 1),
        Matrix("attn_qkv.weight", config.HiddenSize, (2 * QueryKeyWidth) + ValueWidth),
        Matrix("attn_gate.weight", config.HiddenSize, ValueWidth),
        Matrix("ssm_beta.weight", config.HiddenSize, config.LinearNumValueHeads),
        Matrix("ssm_alpha.weight", config.HiddenSize, config.LinearNumValueHeads),
        new("ssm_conv1d.weight", GgufType.F32, [config.LinearConvKernelDim, (2 * QueryKeyWidth) + ValueWidth], 0.5),
        Ones("ssm_norm.weight", config.LinearValueHeadDim),
        Matrix("ssm_out.weight", ValueWidth, config.HiddenSize),
    ];

    // attn_q: a query and a gate for each head.
    private IEnumerable<GgufTensor> Attention() =>
    [
        Matrix("attn_q.weight", config.HiddenSize, 2 * config.NumAttentionHeads * config.HeadDim),
        Matrix("attn_k.weight", config.HiddenSize, config.NumKeyValueHeads * config.HeadDim),
        Matrix("attn_v.weight", config.HiddenSize, config.NumKeyValueHeads * config.HeadDim),
        Matrix("attn_output.weight", config.NumAttentionHeads * config.HeadDim, config.HiddenSize),
        Ones("attn_q_norm.weight", config.HeadDim),
        Ones("attn_k_norm.weight", config.HeadDim),
    ];

    private IEnumerable<GgufTensor> FeedForward() =>
    [
        Matrix("ffn_gate.weight", config.HiddenSize, config.IntermediateSize),
        Matrix("ffn_up.weight", config.HiddenSize, config.IntermediateSize),
        Matrix("ffn_down.weight", config.IntermediateSize, config.HiddenSize),
        Ones("attn_norm.weight", config.HiddenSize),
        Ones("post_attention_norm.weight", config.HiddenSize),
    ];

    // Weights that keep the size of what they are multiplied with.
    private GgufTensor Matrix(string tensor, int columns, int rows, GgufType? type = null) =>
        new(tensor, type ?? layerType, [columns, rows], 1 / Math.Sqrt(columns));

    private static GgufTensor Ones(string tensor, int width) => new(tensor, GgufType.F32, [width], 0, 1);
}
