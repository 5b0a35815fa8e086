using System.Globalization;
using System.Text.Json.Nodes;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests;

/// <summary>
/// A checkpoint of seeded random weights in a temporary directory, of any shape of the family: what the tiny trained model cannot
/// show. Uses the tiny model's tokenizer.
/// </summary>
internal sealed class RandomCheckpoint : IDisposable
{
    private readonly Random random;
    private readonly RandomShape shape;
    private readonly List<(string Name, long[] Shape, float[] Values)> tensors = [];

    public RandomCheckpoint(RandomShape shape, int seed)
    {
        this.shape = shape;
        random = new Random(seed);
        Path = Directory.CreateTempSubdirectory("qwen-random-").FullName;
        foreach (string file in new[] { "tokenizer.json", "tokenizer_config.json" })
            File.Copy(System.IO.Path.Combine(TestData.TinyModel, file), System.IO.Path.Combine(Path, file));
        File.WriteAllText(System.IO.Path.Combine(Path, "config.json"), Config().ToJsonString());
        MakeTensors();
        WriteTensors();
    }

    public string Path { get; }

    /// <summary>Values as the file holds them, by name without the prefix, for the reference to compute with.</summary>
    public IReadOnlyDictionary<string, double[]> Stored =>
        tensors.ToDictionary(t => t.Name, t => Array.ConvertAll(t.Values, v => (double)Round(v)));

    public void Dispose() => Directory.Delete(Path, recursive: true);

    private JsonObject Config() => new()
    {
        ["model_type"] = "qwen3_5_text",
        ["vocab_size"] = shape.Vocab,
        ["hidden_size"] = shape.Hidden,
        ["intermediate_size"] = shape.Intermediate,
        ["num_hidden_layers"] = shape.Layers.Length,
        ["layer_types"] = new JsonArray([.. shape.Layers.Select(c => (JsonNode)(c == 'F' ? "full_attention" : "linear_attention"))]),
        ["num_attention_heads"] = shape.Heads,
        ["num_key_value_heads"] = shape.KvHeads,
        ["head_dim"] = shape.HeadDim,
        ["hidden_act"] = "silu",
        ["rms_norm_eps"] = 1e-6,
        ["attention_bias"] = false,
        ["attn_output_gate"] = true,
        ["max_position_embeddings"] = 512,
        ["tie_word_embeddings"] = shape.Tied,
        ["linear_num_key_heads"] = shape.KeyHeads,
        ["linear_num_value_heads"] = shape.ValueHeads,
        ["linear_key_head_dim"] = shape.KeyHeadDim,
        ["linear_value_head_dim"] = shape.ValueHeadDim,
        ["linear_conv_kernel_dim"] = 4,
        ["eos_token_id"] = 2039,
        ["rope_parameters"] = new JsonObject
        {
            ["rope_type"] = "default", ["rope_theta"] = 10000.0, ["partial_rotary_factor"] = (double)shape.RotaryDim / shape.HeadDim,
        },
    };

    private void MakeTensors()
    {
        Add("embed_tokens.weight", 1, shape.Vocab, shape.Hidden);
        Add("norm.weight", 0.3f, shape.Hidden);
        if (!shape.Tied)
            Linear("lm_head", shape.Vocab, shape.Hidden);
        for (int i = 0; i < shape.Layers.Length; i++)
        {
            string prefix = string.Create(CultureInfo.InvariantCulture, $"layers.{i}");
            Add($"{prefix}.input_layernorm.weight", 0.3f, shape.Hidden);
            Add($"{prefix}.post_attention_layernorm.weight", 0.3f, shape.Hidden);
            Linear($"{prefix}.mlp.gate_proj", shape.Intermediate, shape.Hidden);
            Linear($"{prefix}.mlp.up_proj", shape.Intermediate, shape.Hidden);
            Linear($"{prefix}.mlp.down_proj", shape.Hidden, shape.Intermediate);
            if (shape.Layers[i] == 'F')
                MakeAttention($"{prefix}.self_attn");
            else
                MakeDeltaNet($"{prefix}.linear_attn");
        }
    }

    private void MakeAttention(string prefix)
    {
        int queryWidth = shape.Heads * shape.HeadDim;
        int kvWidth = shape.KvHeads * shape.HeadDim;
        Linear($"{prefix}.q_proj", 2 * queryWidth, shape.Hidden);
        Linear($"{prefix}.k_proj", kvWidth, shape.Hidden);
        Linear($"{prefix}.v_proj", kvWidth, shape.Hidden);
        Linear($"{prefix}.o_proj", shape.Hidden, queryWidth);
        Add($"{prefix}.q_norm.weight", 0.3f, shape.HeadDim);
        Add($"{prefix}.k_norm.weight", 0.3f, shape.HeadDim);
    }

    private void MakeDeltaNet(string prefix)
    {
        int valueWidth = shape.ValueHeads * shape.ValueHeadDim;
        int channels = (2 * shape.KeyHeads * shape.KeyHeadDim) + valueWidth;
        Linear($"{prefix}.in_proj_qkv", channels, shape.Hidden);
        Linear($"{prefix}.in_proj_z", valueWidth, shape.Hidden);
        Linear($"{prefix}.in_proj_b", shape.ValueHeads, shape.Hidden);
        Linear($"{prefix}.in_proj_a", shape.ValueHeads, shape.Hidden);
        Linear($"{prefix}.out_proj", shape.Hidden, valueWidth);
        Add($"{prefix}.conv1d.weight", 0.7f, channels, 1, 4);
        Add($"{prefix}.A_log", 1, shape.ValueHeads);
        Add($"{prefix}.dt_bias", 2, shape.ValueHeads);
        Add($"{prefix}.norm.weight", 1, shape.ValueHeadDim);
    }

    private void Linear(string module, int rows, int columns) => Add($"{module}.weight", MathF.Sqrt(3f / columns), rows, columns);

    private void Add(string name, float scale, params long[] dimensions)
    {
        var values = new float[dimensions.Aggregate(1L, (a, b) => a * b)];
        for (int i = 0; i < values.Length; i++)
            values[i] = ((random.NextSingle() * 2) - 1) * scale;
        tensors.Add((name, dimensions, values));
    }

    private void WriteTensors()
    {
        using var writer = new SafetensorsWriter(System.IO.Path.Combine(Path, "model.safetensors"));
        foreach ((string name, long[] dimensions, _) in tensors)
            writer.Declare(name == "lm_head.weight" ? name : shape.Prefix + name, shape.Type, dimensions);
        foreach ((_, _, float[] values) in tensors)
        {
            if (shape.Type == TensorType.F32)
                writer.Write<float>(values);
            else if (shape.Type == TensorType.BF16)
                writer.Write<ushort>(Array.ConvertAll(values, Bf16.FromFloat));
            else
                writer.Write<ushort>(Array.ConvertAll(values, v => BitConverter.HalfToUInt16Bits((Half)v)));
        }

        writer.Complete();
    }

    private float Round(float value) => shape.Type switch
    {
        TensorType.F32 => value,
        TensorType.BF16 => Bf16.ToFloat(Bf16.FromFloat(value)),
        _ => (float)(Half)value,
    };
}

/// <summary>A model shape; <paramref name="Layers"/> has F for full and L for linear attention.</summary>
internal sealed record RandomShape(
    string Layers, int Hidden, int Intermediate, int Heads, int KvHeads, int HeadDim, int RotaryDim,
    int KeyHeads, int ValueHeads, int KeyHeadDim, int ValueHeadDim, bool Tied, TensorType Type, string Prefix, int Vocab = 2048);
