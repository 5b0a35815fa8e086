using System.Text.Json.Nodes;

namespace QwenIlgpu.Tests;

internal sealed class GptqReaderTests
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

        GptqModule module = (GptqModule)Describe(256, 128);

        Assert.That((module.QWeight.ShapeText, module.QZeros.ShapeText), Is.EqualTo(("[16, 256]", "[1, 32]")));
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
        var module = (GptqModule)checkpoint.Describe("layers.0.mlp.up_proj", outFeatures, inFeatures);
        Assert.That(module.Scales.Shape[0], Is.EqualTo((inFeatures + 127) / 128));
        Assert.That(() => GptqReader.CheckContents(checkpoint, module), Throws.Nothing);
    }

    [Test]
    public void DescribesEachModuleByItself()
    {
        draft.AddFloats("model.language_model.layers.0.mlp.gate_proj.weight", 256, 128);
        draft.Root["quantization_config"] = null;
        draft.Text["quantization_config"] = CheckpointDraft.Gptq();
        draft.Write(directory);
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
        Assert.That(checkpoint.Describe("layers.0.mlp.up_proj", 256, 128), Is.InstanceOf<GptqModule>());
        Assert.That(checkpoint.Describe("layers.0.mlp.gate_proj", 256, 128), Is.InstanceOf<PlainModule>());
        string message = Assert.Throws<InvalidDataException>(() => checkpoint.Describe("layers.0.mlp.down_proj", 256, 128))!.Message;
        Assert.That(message, Does.Contain("module layers.0.mlp.down_proj is missing: neither model.language_model.layers.0"));
    }

    [TestCase("qweight", TensorType.I32, 16, 255, "is I32 [16, 255], I32 [16, 256] is expected")]
    [TestCase("qweight", TensorType.I64, 16, 256, "is I64 [16, 256], I32 [16, 256] is expected")]
    [TestCase("qzeros", TensorType.I32, 2, 32, "is I32 [2, 32], I32 [1, 32] is expected")]
    [TestCase("scales", TensorType.F16, 4, 256, "is F16 [4, 256], F16 or BF16 [1, 256] is expected")]
    [TestCase("scales", TensorType.F32, 1, 256, "is F32 [1, 256], F16 or BF16 [1, 256] is expected")]
    [TestCase("g_idx", TensorType.I32, 1, 128, "is I32 [1, 128], I32 [128] is expected")]
    public void RejectsWrongPart(string part, TensorType type, int rows, int columns, string fault)
    {
        draft.Tensors[$"{Module}.{part}"] = DraftTensor.Of(type, rows, columns);
        Assert.That(Rejects<InvalidDataException>(), Does.Contain($"tensor {Module}.{part} {fault}"));
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

    [Test]
    public void RejectsActOrder()
    {
        draft.Quantize(Module, 256, 256);
        draft.Tensors[$"{Module}.g_idx"] = DraftTensor.Words([256], static i => i == 200 ? 0 : i / 128);
        Assert.That(RejectsContents(256), Does.Contain("puts input 200 in group 0, not in 1: desc_act"));
    }

    [Test]
    public void RejectsAsymmetricZeros()
    {
        draft.Tensors[$"{Module}.qzeros"] = DraftTensor.Words([1, 32], static i => i == 31 ? 0x77777787 : 0x77777777);
        Assert.That(RejectsContents(128), Does.Contain("holds 0x77777787 at word 31").And.Contains("asymmetric"));
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

    [TestCase("quant_method", "\"awq\"")]
    [TestCase("quant_method", "\"compressed-tensors\"")]
    [TestCase("quant_method", "\"fp8\"")]
    [TestCase("bits", "8")]
    [TestCase("group_size", "-1")]
    [TestCase("group_size", "32")]
    [TestCase("sym", "false")]
    [TestCase("desc_act", "true")]
    [TestCase("checkpoint_format", "\"gptq_v2\"")]
    [TestCase("checkpoint_format", "\"marlin\"")]
    [TestCase("pack_dtype", "\"int16\"")]
    [TestCase("is_marlin_format", "true")]
    public void RejectsOtherQuantizationByName(string key, string value)
    {
        draft.Root["quantization_config"]![key] = JsonNode.Parse(value);
        Assert.That(Rejects<NotSupportedException>(), Does.Contain($"config.json: quantization_config.{key} is {value}, which"));
    }

    [TestCase("awq")]
    [TestCase("fp8")]
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
        Assert.That(Rejects<NotSupportedException>(), Does.Contain("config.json: quantization is {\"group_size\":64,\"bits\":4}, which is not supported"));
    }

    [Test]
    public void RejectsOverrideByPattern()
    {
        draft.Root["quantization_config"]!["dynamic"]!["+:.*down.*"] = new JsonObject { ["bits"] = 8 };
        Assert.That(Rejects<NotSupportedException>(), Does.Contain("quantization_config.dynamic.+:.*down.*.bits is 8"));
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

    // Headers are in order: what is wrong shows only when the module is loaded.
    private string RejectsContents(int inFeatures)
    {
        draft.Write(directory);
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
        var module = (GptqModule)checkpoint.Describe("layers.0.mlp.up_proj", 256, inFeatures);
        return Assert.Throws<NotSupportedException>(() => GptqReader.CheckContents(checkpoint, module))!.Message;
    }

    private string Rejects<TError>(int inFeatures = 128)
        where TError : Exception => Assert.Throws<TError>(() => Describe(256, inFeatures))!.Message;
}
