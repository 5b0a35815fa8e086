using System.Text.Json.Nodes;

namespace QwenIlgpu.Tests;

/// <summary>What config.json and tensors say of packed modules.</summary>
internal sealed class Int4ModuleTests
{
    private const string Module = "model.language_model.layers.0.mlp.up_proj";

    private TemporaryDirectory directory = null!;
    private CheckpointDraft draft = null!;

    [SetUp]
    public void CreateDraft()
    {
        directory = new TemporaryDirectory();
        draft = CheckpointDraft.WithTensors();
        draft.Quantize(Module, 256, 128);
    }

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    [TestCase(true, TensorType.F16)]
    [TestCase(false, TensorType.BF16)]
    public void DescribesPackedModule(bool withGIdx, TensorType scaleType)
    {
        draft.Tensors[$"{Module}.scales"] = DraftTensor.Of(scaleType, 1, 256);
        if (!withGIdx)
            draft.Tensors.Remove($"{Module}.g_idx");

        var module = (Int4Module)Describe(256, 128);

        Assert.That((module.Codes.ShapeText, module.Zeros!.ShapeText), Is.EqualTo(("[16, 256]", "[1, 32]")));
        Assert.That(module.Scales.ShapeText, Is.EqualTo("[1, 256]"));
        Assert.That((module.GIdx is not null, module.Scales.Type, module.GroupSize), Is.EqualTo((withGIdx, scaleType, 128)));
    }

    // One group and a half; g_idx spans several read blocks.
    [TestCase(8, 192)]
    [TestCase(16, 40000)]
    public void DescribesModuleWhoseLastGroupIsShort(int outFeatures, int inFeatures)
    {
        draft.Quantize(Module, outFeatures, inFeatures);
        draft.Write(directory);
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
        var module = (Int4Module)checkpoint.Describe("layers.0.mlp.up_proj", outFeatures, inFeatures);
        Assert.That(module.Scales.Shape[0], Is.EqualTo((inFeatures + 127) / 128));
        Assert.That(GroupOrder.Read(checkpoint, module.GIdx!, module.GroupSize), Is.Null);
        Assert.That(TensorContents.AreAll(checkpoint, module.Zeros!, module.SymmetricZeros));
    }

    [Test]
    public void DescribesEachModuleByItself()
    {
        draft.AddFloats("model.language_model.layers.0.mlp.gate_proj.weight", 256, 128);
        draft.Root["quantization_config"] = null;
        draft.Text["quantization_config"] = CheckpointDraft.Gptq();
        draft.Write(directory);
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
        Assert.That(checkpoint.Describe("layers.0.mlp.up_proj", 256, 128), Is.InstanceOf<Int4Module>());
        Assert.That(checkpoint.Describe("layers.0.mlp.gate_proj", 256, 128), Is.InstanceOf<PlainModule>());
        string message = Assert.Throws<InvalidDataException>(() => checkpoint.Describe("layers.0.mlp.down_proj", 256, 128))!.Message;
        Assert.That(message, Does.Contain("module layers.0.mlp.down_proj is missing: neither model.language_model.layers.0"));
    }

    [TestCase("qweight", TensorType.I32, 16, 255, "is I32 [16, 255], I32 [16, 256] is expected")]
    [TestCase("qweight", TensorType.I64, 16, 256, "is I64 [16, 256], I32 [16, 256] is expected")]
    [TestCase("qzeros", TensorType.I32, 2, 32, "is I32 [2, 32], I32 [1, 32] is expected")]
    [TestCase("scales", TensorType.F16, 4, 256, "is F16 [4, 256], F16 or BF16 or F32 [1, 256] is expected")]
    [TestCase("scales", TensorType.I32, 1, 256, "is I32 [1, 256], F16 or BF16 or F32 [1, 256] is expected")]
    [TestCase("g_idx", TensorType.I32, 1, 128, "is I32 [1, 128], I32 [128] is expected")]
    public void RejectsWrongPart(string part, TensorType type, int rows, int columns, string fault)
    {
        draft.Tensors[$"{Module}.{part}"] = DraftTensor.Of(type, rows, columns);
        Assert.That(Rejects<InvalidDataException>(), Does.Contain($"tensor {Module}.{part} {fault}"));
    }

    // As rules for some modules may have it.
    [Test]
    public void RejectsEightBitsByName()
    {
        draft.Tensors[$"{Module}.qweight"] = DraftTensor.Of(TensorType.I32, 32, 256);
        Assert.That(Rejects<NotSupportedException>(), Does.Contain($"tensor {Module}.qweight is [32, 256], 8 bits a weight, which are not supported"));
    }

    [TestCase("qzeros")]
    [TestCase("scales")]
    public void RejectsMissingPart(string part)
    {
        draft.Tensors.Remove($"{Module}.{part}");
        Assert.That(Rejects<InvalidDataException>(), Does.Contain($"tensor layers.0.mlp.up_proj.{part} is missing"));
    }

    [Test]
    public void RejectsModuleStoredTwice()
    {
        draft.AddFloats($"{Module}.weight", 256, 128);
        Assert.That(Rejects<InvalidDataException>(), Does.Contain("is stored twice").And.Contains($"{Module}.qweight"));
    }

    [TestCase(0, "puts 129 inputs in group 0, which must have 128")]
    [TestCase(2, "puts input 200 in group 2; 256 inputs in groups of 128 have the groups 0 to 1")]
    public void RejectsGroupsThatCannotBe(int groupOf200, string fault)
    {
        draft.Quantize(Module, 256, 256);
        draft.Tensors[$"{Module}.g_idx"] = DraftTensor.Words([256], i => i == 200 ? groupOf200 : i / 128);
        draft.Write(directory);
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
        var module = (Int4Module)checkpoint.Describe("layers.0.mlp.up_proj", 256, 256);

        // Headers are in order: what is wrong shows only when the module is loaded.
        Assert.That(
            () => GroupOrder.Read(checkpoint, module.GIdx!, module.GroupSize),
            Throws.InstanceOf<InvalidDataException>().With.Message.EqualTo($"{directory.File("model.safetensors")}: tensor {Module}.g_idx {fault}"));
    }

    // What config.json declares first counts where it fits, else what else it names.
    [TestCase(64, 2, 64)]
    [TestCase(128, 1, 128)]
    [TestCase(-1, 1, 128)]
    [TestCase(1 << 30, 1, 128)]
    [TestCase(32, 2, 64)]
    [TestCase(32, 4, 32)]
    public void GroupSizeIsWhatTheScalesHave(int declared, int groups, int expected)
    {
        draft.Root["quantization_config"]!["group_size"] = declared;
        draft.Root["quantization_config"]!["dynamic"]!["+:.*up.*"] = new JsonObject { ["group_size"] = 64, ["bits"] = 8 };
        draft.Tensors[$"{Module}.qzeros"] = DraftTensor.Words([groups, 32], static _ => 0x77777777);
        draft.Tensors[$"{Module}.scales"] = DraftTensor.Of(TensorType.F16, groups, 256);

        Assert.That(((Int4Module)Describe(256, 128)).GroupSize, Is.EqualTo(expected));
    }

    [Test]
    public void ReadsTheConfigurationBesideTheConfiguration()
    {
        draft.Root.Remove("quantization_config");
        File.WriteAllText(directory.File("quantize_config.json"), """{"bits":4,"group_size":128,"desc_act":false,"sym":true}""");

        Assert.That(((Int4Module)Describe(256, 128)).Packing, Is.EqualTo(Int4Packing.GptqV1));
    }

    // The sign of a zero is no bias.
    [TestCase(0x0000, null)]
    [TestCase(0x8000, null)]
    [TestCase(0x0001, "is not zero at element 200: a bias is not supported here")]
    [TestCase(0x3c00, "is not zero at element 200: a bias is not supported here")]
    public void ABiasMustBeOfZeros(int bits, string? fault)
    {
        var bytes = new byte[512];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(400), (ushort)bits);
        draft.Tensors[$"{Module}.bias"] = new DraftTensor(TensorType.F16, [256], bytes);
        draft.Write(directory);
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);

        TensorEntry bias = checkpoint.Describe("layers.0.mlp.up_proj", 256, 128).Bias!;

        Assert.That(() => TensorContents.RequireZeros(checkpoint, bias), fault is null
            ? Throws.Nothing : Throws.InstanceOf<NotSupportedException>().With.Message.Contains($"{Module}.bias {fault}"));
    }

    [Test]
    public void RejectsPackedTensorsWithoutConfiguration()
    {
        draft.Root.Remove("quantization_config");
        Assert.That(Rejects<InvalidDataException>(), Does.Contain($"holds {Module}.qweight, but config.json has no quantization_config"));
    }

    [Test]
    public void RejectsAQuantizedEmbedding()
    {
        draft.Quantize("model.language_model.embed_tokens", CheckpointDraft.Vocab, CheckpointDraft.Hidden);
        Assert.That(
            Rejects<NotSupportedException>(),
            Does.Contain("holds model.language_model.embed_tokens.qweight; embeddings are read only as F32, F16 or BF16"));
    }

    [TestCase("quant_method", "\"bitsandbytes\"")]
    [TestCase("bits", "8")]
    [TestCase("group_size", "16")]
    [TestCase("group_size", "96")]
    [TestCase("group_size", "0")]
    [TestCase("checkpoint_format", "\"marlin\"")]
    [TestCase("pack_dtype", "\"int16\"")]
    [TestCase("is_marlin_format", "true")]
    public void RejectsOtherQuantizationByName(string key, string value)
    {
        draft.Root["quantization_config"]![key] = JsonNode.Parse(value);
        Assert.That(Rejects<NotSupportedException>(), Does.Contain($"config.json: quantization_config.{key} is {value}, which"));
    }

    [TestCase("bitsandbytes")]
    [TestCase("quark")]
    public void SaysWhatIsSupportedInstead(string method)
    {
        draft.Root["quantization_config"]!["quant_method"] = method;
        Assert.That(Rejects<NotSupportedException>(), Does.EndWith($"is \"{method}\", which is not supported; supported: {WeightFormats.Supported}"));
    }

    [TestCase(true)]
    [TestCase(false)]
    public void RejectsMlxByItsSection(bool inBothSections)
    {
        draft.Root["quantization"] = JsonNode.Parse("""{"group_size":64,"bits":4}""");
        draft.Root.Remove("quantization_config");
        if (inBothSections)
            draft.Root["quantization_config"] = draft.Root["quantization"]!.DeepClone();
        Assert.That(Rejects<NotSupportedException>(), Does.Contain("config.json: quantization is {\"group_size\":64,\"bits\":4}, which is not supported").And.EndsWith("; this section is MLX's"));
    }

    [TestCase("awq", "version", "\"gemv\"")]
    [TestCase("awq", "bits", "8")]
    [TestCase("auto-round", "packing_format", "\"auto_round\"")]
    [TestCase("auto-round", "data_type", "\"mx_fp\"")]
    [TestCase("compressed-tensors", "format", "\"int-quantized\"")]
    public void RejectsVariantsOfOtherMethodsByName(string method, string key, string value)
    {
        draft.Root["quantization_config"] = new JsonObject
        {
            ["quant_method"] = method, ["bits"] = 4, ["group_size"] = 128, ["packing_format"] = "auto_round:auto_gptq",
            [key] = JsonNode.Parse(value),
        };
        Assert.That(Rejects<NotSupportedException>(), Does.Contain($"config.json: quantization_config.{key} is {value}, which"));
    }

    [TestCase("num_bits", "8", "quantization_config.config_groups.group_0.weights.num_bits is 8, which")]
    [TestCase("type", "\"complex\"", "quantization_config.config_groups.group_0.weights.type is \"complex\", which")]
    [TestCase("strategy", "\"block\"", "quantization_config.config_groups.group_0.weights.strategy is \"block\", which")]
    public void RejectsConfigGroupsByName(string key, string value, string fault)
    {
        var weights = new JsonObject { ["num_bits"] = 4, ["type"] = "int", ["strategy"] = "group", ["group_size"] = 32 };
        weights[key] = JsonNode.Parse(value);
        draft.Root["quantization_config"] = new JsonObject
        {
            ["quant_method"] = "compressed-tensors",
            ["format"] = "pack-quantized",
            ["config_groups"] = new JsonObject { ["group_0"] = new JsonObject { ["weights"] = weights } },
        };
        Assert.That(Rejects<NotSupportedException>(), Does.Contain(fault));
    }

    [TestCase("quant_method", "quantization_config.quant_method is missing")]
    [TestCase("bits", "quantization_config.bits is missing")]
    public void RejectsMissingKey(string key, string fault)
    {
        draft.Root["quantization_config"]!.AsObject().Remove(key);
        Assert.That(Rejects<InvalidDataException>(), Does.Contain(fault));
    }

    private ModuleEncoding Describe(int outFeatures, int inFeatures)
    {
        draft.Write(directory);
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
        return checkpoint.Describe("layers.0.mlp.up_proj", outFeatures, inFeatures);
    }

    private string Rejects<TError>(int inFeatures = 128)
        where TError : Exception => Assert.Throws<TError>(() => Describe(256, inFeatures))!.Message;
}
