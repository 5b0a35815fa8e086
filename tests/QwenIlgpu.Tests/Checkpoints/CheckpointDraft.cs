using System.Text.Json.Nodes;

namespace QwenIlgpu.Tests;

/// <summary>A small checkpoint in the making: a valid one, which each test bends before it is written.</summary>
internal sealed class CheckpointDraft
{
    public const int Vocab = 32;
    public const int Hidden = 128;
    public const int Intermediate = 256;

    public JsonObject Text { get; } = new()
    {
        ["model_type"] = "qwen3_5_text",
        ["vocab_size"] = Vocab,
        ["hidden_size"] = Hidden,
        ["intermediate_size"] = Intermediate,
        ["num_hidden_layers"] = 4,
        ["layer_types"] = new JsonArray("linear_attention", "linear_attention", "linear_attention", "full_attention"),
        ["num_attention_heads"] = 4,
        ["num_key_value_heads"] = 2,
        ["head_dim"] = 16,
        ["rms_norm_eps"] = 1e-6,
        ["rope_parameters"] = new JsonObject { ["rope_type"] = "default", ["rope_theta"] = 10000000, ["partial_rotary_factor"] = 0.25 },
        ["linear_num_key_heads"] = 2,
        ["linear_num_value_heads"] = 4,
        ["linear_key_head_dim"] = 8,
        ["linear_value_head_dim"] = 16,
        ["linear_conv_kernel_dim"] = 4,
        ["max_position_embeddings"] = 512,
        ["eos_token_id"] = 31,
    };

    public JsonObject Root { get; } = new() { ["model_type"] = "qwen3_5", ["tie_word_embeddings"] = false };

    /// <summary>Stored name → type, shape, bytes.</summary>
    public Dictionary<string, DraftTensor> Tensors { get; } = [];

    public JsonObject? Index { get; set; }

    public static JsonObject Gptq() => new()
    {
        ["quant_method"] = "gptq",
        ["bits"] = 4,
        ["group_size"] = 128,
        ["sym"] = true,
        ["desc_act"] = false,
        ["dynamic"] = new JsonObject { ["lm_head"] = new JsonObject(), ["-:.*attn.*"] = new JsonObject() },
    };

    /// <summary>Embedding, norm, head and the feed-forward part of layer 0, and tensors that are to be skipped.</summary>
    public static CheckpointDraft WithTensors(string prefix = "model.language_model.", string headPrefix = "")
    {
        CheckpointDraft draft = new();
        draft.AddFloats($"{prefix}embed_tokens.weight", Vocab, Hidden);
        draft.AddFloats($"{prefix}norm.weight", Hidden);
        draft.AddFloats($"{headPrefix}lm_head.weight", Vocab, Hidden);
        draft.AddFloats($"{prefix}layers.0.mlp.up_proj.weight", Intermediate, Hidden);
        draft.AddFloats("mtp.fc.weight", Hidden, 2 * Hidden);
        draft.AddFloats("model.visual.pos_embed.weight", 3, 5);
        draft.AddFloats("some.other.thing", 7);
        return draft;
    }

    /// <summary>Replaces the module by its packed form, valid unless a test bends it.</summary>
    public void Quantize(string module, int outFeatures, int inFeatures)
    {
        int groups = (inFeatures + 127) / 128;
        Tensors.Remove($"{module}.weight");
        Tensors[$"{module}.qweight"] = DraftTensor.Words([inFeatures / 8, outFeatures], static i => i * 7919);
        Tensors[$"{module}.qzeros"] = DraftTensor.Words([groups, outFeatures / 8], static _ => 0x77777777);
        Tensors[$"{module}.scales"] = DraftTensor.Of(TensorType.F16, groups, outFeatures);
        Tensors[$"{module}.g_idx"] = DraftTensor.Words([inFeatures], static i => i / 128);
        Root["quantization_config"] = Gptq();
    }

    /// <summary>Makes a mixture of four experts of it, in one layer of attention, all of whose tensors are there.</summary>
    public static CheckpointDraft WithExperts(bool packed)
    {
        const string Layer = "model.language_model.layers.0.";
        CheckpointDraft draft = WithTensors();
        draft.Root["model_type"] = "qwen3_5_moe";
        draft.Tensors.Remove($"{Layer}mlp.up_proj.weight");
        draft.Text.Remove("intermediate_size");
        foreach ((string key, JsonNode value) in (IEnumerable<(string, JsonNode)>)
        [
            ("model_type", "qwen3_5_moe_text"), ("num_hidden_layers", 1), ("layer_types", new JsonArray("full_attention")), ("num_experts", 4),
            ("num_experts_per_tok", 2), ("moe_intermediate_size", 64), ("shared_expert_intermediate_size", 40),
        ])
        {
            draft.Text[key] = value;
        }

        foreach ((string name, long[] shape) in (IEnumerable<(string, long[])>)
        [
            ("self_attn.q_proj.weight", [128, Hidden]), ("self_attn.k_proj.weight", [32, Hidden]), ("self_attn.v_proj.weight", [32, Hidden]),
            ("self_attn.o_proj.weight", [Hidden, 64]), ("mlp.gate.weight", [4, Hidden]), ("mlp.shared_expert_gate.weight", [1, Hidden]),
            ("mlp.shared_expert.gate_proj.weight", [40, Hidden]), ("mlp.shared_expert.up_proj.weight", [40, Hidden]),
            ("mlp.shared_expert.down_proj.weight", [Hidden, 40]),
        ])
        {
            draft.AddFloats(Layer + name, shape);
        }

        if (!packed)
        {
            draft.AddFloats($"{Layer}mlp.experts.gate_up_proj", 4, 128, Hidden);
            draft.AddFloats($"{Layer}mlp.experts.down_proj", 4, Hidden, 64);
            return draft;
        }

        for (int expert = 0; expert < 4; expert++)
        {
            draft.Quantize($"{Layer}mlp.experts.{expert}.gate_proj", 64, Hidden);
            draft.Quantize($"{Layer}mlp.experts.{expert}.up_proj", 64, Hidden);
            draft.Quantize($"{Layer}mlp.experts.{expert}.down_proj", Hidden, 64);
        }

        return draft;
    }

    public void AddFloats(string name, params long[] shape) => Tensors[name] = DraftTensor.Of(TensorType.BF16, shape);

    public void WriteConfig(TemporaryDirectory directory)
    {
        JsonObject root = (JsonObject)Root.DeepClone();
        if ((string?)root["model_type"] is "qwen3_5" or "qwen3_5_moe")
            root["text_config"] = Text.DeepClone();
        else
            foreach ((string key, JsonNode? value) in Text)
                root.TryAdd(key, value?.DeepClone());
        File.WriteAllText(directory.File("config.json"), root.ToJsonString());
    }

    /// <summary>Writes config, generation config and one file of tensors.</summary>
    public void Write(TemporaryDirectory directory)
    {
        WriteConfig(directory);
        File.WriteAllText(directory.File("generation_config.json"), """{"eos_token_id":[30,31],"top_k":20,"top_p":0.95}""");
        WriteTensors(directory.File("model.safetensors"), Tensors);
    }

    /// <summary>Writes config and the tensors in two files with an index.</summary>
    public void WriteSharded(TemporaryDirectory directory)
    {
        WriteConfig(directory);
        JsonObject map = [];
        for (int shard = 0; shard < 2; shard++)
        {
            string name = $"model-{shard + 1:d5}-of-00002.safetensors";
            KeyValuePair<string, DraftTensor>[] part = [.. Tensors.Where((_, i) => i % 2 == shard)];
            WriteTensors(directory.File(name), part);
            foreach ((string tensor, _) in part)
                map[tensor] = name;
        }

        Index ??= new JsonObject { ["metadata"] = new JsonObject { ["total_size"] = 1 }, ["weight_map"] = map };
        File.WriteAllText(directory.File("model.safetensors.index.json"), Index.ToJsonString());
    }

    private static void WriteTensors(string path, IReadOnlyCollection<KeyValuePair<string, DraftTensor>> tensors)
    {
        using SafetensorsWriter writer = new(path);
        foreach ((string name, DraftTensor tensor) in tensors)
            writer.Declare(name, tensor.Type, tensor.Shape);
        foreach ((_, DraftTensor tensor) in tensors)
            writer.Write(tensor.Bytes);
        writer.Complete();
    }
}
