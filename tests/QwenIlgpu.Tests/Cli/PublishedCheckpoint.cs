using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Json.Nodes;
using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests.Cli;

/// <summary>
/// A published checkpoint's configuration and tensors of the text model by name, type and shape, without contents: a file as long as its
/// header says, of which the disk holds next to nothing.
/// </summary>
internal sealed class PublishedCheckpoint : IWeightSource
{
    private readonly Dictionary<string, (string Type, long[] Shape)> tensors = [];
    private readonly bool packsFeedForward;

    private PublishedCheckpoint(bool packsFeedForward) => this.packsFeedForward = packsFeedForward;

    public static void Write(TemporaryDirectory directory, JsonObject text, bool tied, bool packsFeedForward)
    {
        var root = new JsonObject { ["model_type"] = "qwen3_5", ["tie_word_embeddings"] = tied, ["text_config"] = text };
        if (packsFeedForward)
        {
            root["quantization_config"] = JsonNode.Parse(
                """
                {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": false, "sym": true,
                 "dynamic": {"lm_head": {}, "model.language_model.embed_tokens": {}, "-:.*attn.*": {}, "-:.*shared_expert.*": {}, "-:.*mtp.*": {}, "-:.*visual.*": {}}}
                """);
        }

        File.WriteAllText(directory.File("config.json"), root.ToJsonString());
        var checkpoint = new PublishedCheckpoint(packsFeedForward);
        _ = new LayerBuilder(QwenConfigReader.Read(JsonSection.Load(directory.File("config.json")), []), checkpoint).Build();
        checkpoint.WriteTensors(directory.File("model.safetensors"));
    }

    public LinearWeight Matrix(MatrixModule module)
    {
        (long rows, long columns) = (module.Rows, module.Columns);
        if (packsFeedForward && module.Scope?.Part == FeedForward.Name)
        {
            Add($"{module.Name}.qweight", "I32", columns / 8, rows);
            Add($"{module.Name}.qzeros", "I32", columns / 128, rows / 8);
            Add($"{module.Name}.scales", "BF16", columns / 128, rows);
            Add($"{module.Name}.g_idx", "I32", columns);
        }
        else
        {
            Add($"{module.Name}.weight", "BF16", rows, columns);
        }

        return new LinearWeight(module.Name, WeightMatrix.Dense(WeightType.Bf16, module.Rows, module.Columns));
    }

    public ArrayView<float> Vector(string name, VectorUse use, params ReadOnlySpan<long> shape)
    {
        Add(name, "BF16", shape);
        return default;
    }

    public RotaryView Rotary(QwenConfig config) => default;

    private void Add(string name, string type, params ReadOnlySpan<long> shape) =>
        tensors.Add(name.StartsWith("lm_head", StringComparison.Ordinal) ? name : "model.language_model." + name, (type, shape.ToArray()));

    private void WriteTensors(string path)
    {
        var header = new JsonObject();
        long end = 0;
        foreach ((string name, (string type, long[] shape)) in tensors)
        {
            long start = end;
            end += shape.Aggregate(1L, (a, b) => a * b) * (type == "BF16" ? 2 : 4);
            header[name] = new JsonObject
            {
                ["dtype"] = type,
                ["shape"] = new JsonArray([.. shape.Select(n => (JsonNode)n)]),
                ["data_offsets"] = new JsonArray(start, end),
            };
        }

        byte[] json = JsonSerializer.SerializeToUtf8Bytes(header);
        byte[] length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, json.Length);
        using FileStream file = File.Create(path);
        file.Write(length);
        file.Write(json);
        file.SetLength(8 + json.Length + end);
    }
}
