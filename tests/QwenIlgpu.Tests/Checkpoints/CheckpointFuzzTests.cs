using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Tests;

/// <summary>Damaged files end in success, in "invalid data" or in "not supported", whatever the damage, and cost little memory.</summary>
internal sealed class CheckpointFuzzTests
{
    private const int PackedAsGptq = 2;

    private static readonly string[] QuantizationSections =
    [
        CheckpointDraft.Gptq().ToJsonString(),
        """{"quant_method":"auto-round","bits":4,"group_size":128,"sym":true,"data_type":"int","packing_format":"auto_round:auto_gptq","extra_config":{"a":{"bits":16}}}""",
        """
        {"quant_method":"compressed-tensors","format":"mixed-precision","ignore":["lm_head"],"config_groups":{
         "a":{"format":"pack-quantized","weights":{"num_bits":4,"type":"int","strategy":"group","group_size":128}},
         "b":{"format":"float-quantized","weights":{"num_bits":8,"type":"float","strategy":"block","block_structure":[128,128]}},
         "c":{"weights":{"num_bits":4,"type":"float","strategy":"tensor_group","group_size":16}}}}
        """,
        """{"quant_method":"fp8","fmt":"e4m3","activation_scheme":"dynamic","weight_block_size":[128,128],"modules_to_not_convert":["lm_head"]}""",
        """{"quant_method":"modelopt","quant_algo":"MIXED_PRECISION","quantized_layers":{"lm_head":{"quant_algo":"W4A16_NVFP4","group_size":16},"a":{"quant_algo":"FP8"}}}""",
    ];

    private TemporaryDirectory directory = null!;

    [SetUp]
    public void CreateDirectory() => directory = new TemporaryDirectory();

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    [TestCase(300)]
    [TestCase(30_000, Category = "Exhaustive")]
    public void SurvivesDamagedSafetensors(int count)
    {
        const string Name = "model.safetensors";
        CheckpointDraft draft = new();
        draft.AddFloats("model.embed_tokens.weight", 4, 3);
        draft.AddFloats("model.layers.0.mlp.up_proj.weight", 2, 2);
        draft.Tensors["model.layers.0.mlp.up_proj.g_idx"] = DraftTensor.Of(TensorType.I32, 1, 3);
        draft.Tensors["model.norm.weight"] = DraftTensor.Of(TensorType.F32, 3);
        draft.Tensors["empty"] = DraftTensor.Of(TensorType.U8, 0, 2);
        draft.Write(directory);
        byte[] valid = File.ReadAllBytes(directory.File(Name));
        int headerEnd = 8 + (int)BinaryPrimitives.ReadInt64LittleEndian(valid);
        byte[] header = valid[8..headerEnd];
        byte[] data = valid[headerEnd..];

        Fuzz(count, Name, mutator => Assemble(mutator, header, data), () =>
        {
            using SafetensorsFile file = SafetensorsFile.Open(directory.File(Name));
            byte[] bytes = new byte[file.LengthBytes];
            foreach (TensorEntry tensor in file.Tensors.Values)
                file.Read(tensor, 0, bytes.AsSpan(0, (int)tensor.LengthBytes));

            using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
            checkpoint.Get("embed_tokens.weight", 4, 3);
            checkpoint.Get("norm.weight", 3);
            checkpoint.Describe("layers.0.mlp.up_proj", 2, 2);
            NonFiniteWeights.FirstIn(checkpoint, CancellationToken.None);
        });
    }

    [TestCase(300)]
    [TestCase(25_000, Category = "Exhaustive")]
    public void SurvivesDamagedConfig(int count)
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.Quantize("model.language_model.layers.0.mlp.up_proj", CheckpointDraft.Intermediate, CheckpointDraft.Hidden);
        draft.Text["rope_scaling"] = JsonNode.Parse(
            """
            {"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 128, "attention_factor": 1.1, "beta_fast": 32, "beta_slow": 1,
             "truncate": true, "mscale": 1, "mscale_all_dim": 1}
            """);
        draft.Text["rope_parameters"]!.AsObject().Remove("rope_type");
        draft.Write(directory);
        SmallTokenizer.Write(directory, 300);
        QwenTokenizer tokenizer = QwenTokenizer.Load(directory.Path);

        Fuzz(count, "config.json", () =>
        {
            using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
            QwenConfig config = checkpoint.Config;
            Assert.That(config.CountParameters(), Is.Positive);
            Assert.That(config.KvBytesPerToken(KvType.F32), Is.Not.Negative);
            Assert.That(config.StateBytesPerSequence(sizeof(float)), Is.Not.Negative);
            checkpoint.Get("embed_tokens.weight", config.VocabSize, config.HiddenSize);
            checkpoint.Get("norm.weight", config.HiddenSize);
            checkpoint.Describe("lm_head", config.VocabSize, config.HiddenSize);
            checkpoint.Describe("layers.0.mlp.up_proj", config.IntermediateSize, config.HiddenSize);
            StopSet.Read(directory.Path, config.VocabSize, null, tokenizer, null, static _ => { });
        });
    }

    // One module in integers, one in FP8, one in NVFP4, whatever the section says of them.
    [TestCase(0, 60)]
    [TestCase(1, 60)]
    [TestCase(2, 60)]
    [TestCase(3, 60)]
    [TestCase(4, 60)]
    [TestCase(0, 10_000, Category = "Exhaustive")]
    [TestCase(1, 10_000, Category = "Exhaustive")]
    [TestCase(2, 10_000, Category = "Exhaustive")]
    [TestCase(3, 10_000, Category = "Exhaustive")]
    [TestCase(4, 10_000, Category = "Exhaustive")]
    public void SurvivesDamagedQuantization(int section, int count)
    {
        const string Mlp = "model.language_model.layers.0.mlp";
        const string Placeholder = "\"SECTION\"";
        (int rows, int columns) = (CheckpointDraft.Intermediate, CheckpointDraft.Hidden);
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.Quantize($"{Mlp}.up_proj", rows, columns);
        draft.Tensors[$"{Mlp}.gate_proj.weight"] = DraftTensor.Of(TensorType.F8E4M3, rows, columns);
        draft.Tensors[$"{Mlp}.gate_proj.weight_scale_inv"] = DraftTensor.Of(TensorType.BF16, 2, 1);
        draft.Tensors[$"{Mlp}.down_proj.weight_packed"] = DraftTensor.Of(TensorType.U8, columns, rows / 2);
        draft.Tensors[$"{Mlp}.down_proj.weight_scale"] = DraftTensor.Of(TensorType.F8E4M3, columns, rows / 16);
        draft.Tensors[$"{Mlp}.down_proj.weight_global_scale"] = DraftTensor.Of(TensorType.F32, 1);
        draft.Root["quantization_config"] = "SECTION";
        draft.Write(directory);
        string[] around = File.ReadAllText(directory.File("config.json")).Split(Placeholder);
        byte[] valid = Encoding.UTF8.GetBytes(QuantizationSections[section]);

        byte[] Damage(Mutator mutator) => [.. Encoding.UTF8.GetBytes(around[0]), .. mutator.Mutate(valid), .. Encoding.UTF8.GetBytes(around[1])];

        Fuzz(count, "config.json", Damage, () =>
        {
            using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
            checkpoint.Describe("layers.0.mlp.gate_proj", rows, columns);
            checkpoint.Describe("layers.0.mlp.down_proj", columns, rows);
            if (section < PackedAsGptq)
                checkpoint.Describe("layers.0.mlp.up_proj", rows, columns);
        });
    }

    [TestCase(300)]
    [TestCase(15_000, Category = "Exhaustive")]
    public void SurvivesDamagedIndex(int count)
    {
        CheckpointDraft.WithTensors().WriteSharded(directory);
        Fuzz(count, "model.safetensors.index.json", () => Checkpoint.Open(directory.Path).Dispose());
    }

    [TestCase(300)]
    [TestCase(10_000, Category = "Exhaustive")]
    public void SurvivesDamagedGenerationConfig(int count)
    {
        CheckpointDraft.WithTensors().Write(directory);
        SmallTokenizer.Write(directory, 300);
        QwenTokenizer tokenizer = QwenTokenizer.Load(directory.Path);
        File.WriteAllText(
            directory.File("generation_config.json"),
            """{"do_sample":true,"eos_token_id":[290,291],"temperature":0.6,"top_k":20,"top_p":0.95,"min_p":0,"presence_penalty":1.5}""");
        Fuzz(count, "generation_config.json", () =>
        {
            GenerationConfig? config = GenerationConfig.Load(directory.Path);
            StopSet.Read(directory.Path, 300, config, tokenizer, null, static _ => { });
            ResolvedSampling.Resolve(new SamplingOptions { Temperature = 0 }, config, 300, static _ => true, static () => 0);
            ResolvedSampling.Resolve(null, config, 300, static _ => true, static () => 0);
        });
    }

    [TestCase("tokenizer.json", 300)]
    [TestCase("tokenizer_config.json", 300)]
    [TestCase("tokenizer.json", 10_000, Category = "Exhaustive")]
    [TestCase("tokenizer_config.json", 10_000, Category = "Exhaustive")]
    public void SurvivesDamagedTokenizer(string name, int count)
    {
        CheckpointDraft.WithTensors().Write(directory);
        File.Delete(directory.File("generation_config.json"));
        SmallTokenizer.Write(directory, 300, JsonNode.Parse(
            """
            {"eos_token": {"content": "<|im_end|>", "lstrip": false}, "chat_template": null, "model_max_length": 4096,
             "added_tokens_decoder": {"290": {"content": "<|im_end|>", "special": true}, "292": {"content": "<tool_call>", "special": false}}}
            """)!.AsObject());
        Fuzz(count, name, () =>
        {
            const ModelParts All = ModelParts.Tokenizer | ModelParts.Generation | ModelParts.EndIds | ModelParts.ChatTemplate;
            QwenTokenizer tokenizer = TextParts.Load(directory.Path, 300, null, All, static _ => { }).Tokenizer!;
            int[] ids = tokenizer.Encode("the end<|im_end|>", parseSpecial: true);
            Assert.That(ids, Is.All.Matches<int>(tokenizer.HasToken));
        });
    }

    // The length field usually follows the damaged header, so that the damage is met behind it and not at it.
    private static byte[] Assemble(Mutator mutator, byte[] header, byte[] data)
    {
        byte[] damaged = mutator.Mutate(header);
        byte[] length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, damaged.Length);
        byte[] file = [.. length, .. damaged, .. data];
        switch (mutator.Next(16))
        {
            case 0:
                file[mutator.Next(8)] ^= (byte)(1 << mutator.Next(8));
                break;
            case 1:
                return file[..mutator.Next(file.Length + 1)];
            case 2:
                return [.. file, 0];
            default:
                break;
        }

        return file;
    }

    // In place: a disk may take milliseconds for a file that is cut to nothing and written again.
    private static void Overwrite(string path, byte[] bytes)
    {
        using FileStream stream = new(path, FileMode.OpenOrCreate, FileAccess.Write);
        stream.Write(bytes);
        stream.SetLength(bytes.Length);
    }

    private void Fuzz(int count, string name, Action open)
    {
        byte[] valid = File.ReadAllBytes(directory.File(name));
        Fuzz(count, name, mutator => mutator.Mutate(valid), open);
    }

    private void Fuzz(int count, string name, Func<Mutator, byte[]> damage, Action open)
    {
        string path = directory.File(name);
        int opened = 0;
        int unsupported = 0;
        for (int seed = 0; seed < count; seed++)
        {
            byte[] bytes = damage(new Mutator(seed));
            Overwrite(path, bytes);
            long limit = Directory.EnumerateFiles(directory.Path).Sum(static file => new FileInfo(file).Length) + (64L << 20);
            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                open();
                opened++;
            }
            catch (Exception error) when (error is InvalidDataException or NotSupportedException)
            {
                unsupported += error is NotSupportedException ? 1 : 0;
                if (!error.Message.StartsWith(directory.Path, StringComparison.Ordinal))
                    Assert.Fail($"seed {seed}: the message names no file: {error.Message}");
            }
            catch (Exception error)
            {
                Assert.Fail($"seed {seed}: {error}");
            }

            if (GC.GetAllocatedBytesForCurrentThread() - before > limit)
                Assert.Fail($"seed {seed}: {GC.GetAllocatedBytesForCurrentThread() - before} bytes allocated, the limit is {limit}");
        }

        TestContext.Out.WriteLine($"{name}: {count} damaged files, {opened} opened, {unsupported} not supported");
        Assert.That(opened, Is.InRange(count / 100, count * 9 / 10), "damage that is neither harmless nor always met at the first check");
    }
}
