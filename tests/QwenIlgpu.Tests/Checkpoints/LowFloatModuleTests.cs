using System.Text.Json.Nodes;

namespace QwenIlgpu.Tests;

/// <summary>What config.json and tensors say of modules in FP8 and FP4: the type of the codes and the scales beside them decide.</summary>
internal sealed class LowFloatModuleTests
{
    private const string Module = "model.language_model.layers.0.mlp.up_proj";
    private const int Rows = CheckpointDraft.Intermediate;
    private const int Columns = CheckpointDraft.Hidden;

    private TemporaryDirectory directory = null!;
    private CheckpointDraft draft = null!;

    [SetUp]
    public void CreateDraft()
    {
        directory = new TemporaryDirectory();
        draft = CheckpointDraft.WithTensors();
        draft.Tensors.Remove($"{Module}.weight");
    }

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    [TestCase("weight_scale_inv", TensorType.BF16, new long[] { 2, 1 }, 128, 128)]
    [TestCase("weight_scale", TensorType.F32, new long[] { 2, 1, 1, 1 }, 128, 128)]
    [TestCase("weight_scale", TensorType.F32, new long[] { }, Rows, Columns)]
    [TestCase("weight_scale", TensorType.F16, new long[] { 1 }, Rows, Columns)]
    [TestCase("weight_scale", TensorType.F32, new long[] { Rows, 1 }, 1, Columns)]
    [TestCase("weight_scale", TensorType.BF16, new long[] { Rows }, 1, Columns)]
    public void TheShapeOfFp8ScalesTellsWhatSharesOne(string name, TensorType type, long[] shape, int blockRows, int blockColumns)
    {
        draft.Tensors[$"{Module}.weight"] = DraftTensor.Of(TensorType.F8E4M3, Rows, Columns);
        draft.Tensors[$"{Module}.{name}"] = DraftTensor.Of(type, shape);
        draft.Tensors[$"{Module}.input_scale"] = DraftTensor.Of(TensorType.F32);

        var module = (Fp8Module)Describe();

        Assert.That((module.BlockRows, module.BlockColumns), Is.EqualTo((blockRows, blockColumns)));
        Assert.That(module.StoredBytes, Is.EqualTo((Rows * Columns) + draft.Tensors[$"{Module}.{name}"].Bytes.Length));
    }

    [Test]
    public void ABlockIsOfTheDeclaredSize()
    {
        Fp8(TensorType.BF16, "weight_scale_inv", 4, 4);
        draft.Root["quantization_config"] = new JsonObject { ["quant_method"] = "fp8", ["weight_block_size"] = new JsonArray(64, 32) };
        Assert.That(Describe().Text, Is.EqualTo("FP8 E4M3, blocks of 64 × 32, BF16"));
    }

    [Test]
    public void CodesInFp8NeedScales()
    {
        draft.Tensors[$"{Module}.weight"] = DraftTensor.Of(TensorType.F8E4M3, Rows, Columns);
        Assert.That(
            Rejects<InvalidDataException>(),
            Does.Contain($"tensor {Module}.weight is F8_E4M3, but there are no scales: neither weight_scale_inv nor weight_scale"));
    }

    [Test]
    public void CodesInFp8HaveOneSetOfScales()
    {
        Fp8(TensorType.F32, "weight_scale", 2, 1);
        draft.Tensors[$"{Module}.weight_scale_inv"] = DraftTensor.Of(TensorType.F32, 2, 1);
        Assert.That(Rejects<InvalidDataException>(), Does.Contain($"two sets of scales, {Module}.weight_scale_inv and {Module}.weight_scale"));
    }

    [TestCase(TensorType.F32, 3, 1)]
    [TestCase(TensorType.F32, 1, 2)]
    [TestCase(TensorType.F32, Rows, 2)]
    public void RejectsScalesOfNoBlocks(TensorType type, long rows, long columns)
    {
        Fp8(type, "weight_scale", rows, columns);
        Assert.That(Rejects<InvalidDataException>(), Does.Contain($"{Module}.weight_scale is [{rows}, {columns}]; for [256, 128] it has one scale"));
    }

    [Test]
    public void RejectsScalesOfAnotherTypeByName()
    {
        Fp8(TensorType.F8E8M0, "weight_scale", 2, 1);
        Assert.That(Rejects<NotSupportedException>(), Does.Contain($"{Module}.weight_scale is F8_E8M0; scales of FP8 are F32, BF16 or F16"));
    }

    [TestCase(TensorType.F8E5M2, "F8_E5M2")]
    [TestCase(TensorType.F8E4M3Fnuz, "F8_E4M3FNUZ")]
    public void RejectsOtherSmallFloatsByName(TensorType type, string name)
    {
        draft.Tensors[$"{Module}.weight"] = DraftTensor.Of(type, Rows, Columns);
        Assert.That(Rejects<NotSupportedException>(), Does.Contain($"{Module}.weight is {name} [256, 128]"));
    }

    // compressed-tensors' global scale divides, ModelOpt's multiplies.
    [TestCase("weight_packed", "weight_global_scale", new long[] { 1 }, true)]
    [TestCase("weight", "weight_scale_2", new long[] { }, false)]
    public void TheNameOfTheGlobalScaleTellsWhatItDoes(string codes, string global, long[] shape, bool divides)
    {
        Fp4(codes, TensorType.F8E4M3, Columns / 16);
        draft.Tensors[$"{Module}.{global}"] = DraftTensor.Of(TensorType.F32, shape);

        var module = (Fp4Module)Describe();

        Assert.That((module.GlobalDivides, module.GroupSize, module.Text), Is.EqualTo((divides, 16, "NVFP4, groups of 16")));
    }

    [TestCase(TensorType.U8)]
    [TestCase(TensorType.F8E8M0)]
    public void ExponentsAsScalesAreMx(TensorType type)
    {
        Fp4("weight_packed", type, Columns / 32);
        var module = (Fp4Module)Describe();
        Assert.That((module.GlobalScale, module.GroupSize, module.Text), Is.EqualTo(((TensorEntry?)null, 32, "MXFP4, groups of 32")));
    }

    [Test]
    public void CodesInFp4NeedScales()
    {
        draft.Tensors[$"{Module}.weight_packed"] = DraftTensor.Of(TensorType.U8, Rows, Columns / 2);
        Assert.That(Rejects<InvalidDataException>(), Does.Contain($"tensor {Module}.weight_packed is U8, but there are no scales: no weight_scale"));
    }

    [Test]
    public void Nvfp4NeedsAGlobalScale()
    {
        Fp4("weight", TensorType.F8E4M3, Columns / 16);
        Assert.That(Rejects<InvalidDataException>(), Does.Contain("is NVFP4, but has no global scale: neither weight_global_scale nor weight_scale_2"));
    }

    [Test]
    public void RejectsTwoGlobalScales()
    {
        Fp4("weight", TensorType.F8E4M3, Columns / 16);
        draft.Tensors[$"{Module}.weight_global_scale"] = DraftTensor.Of(TensorType.F32, 1);
        draft.Tensors[$"{Module}.weight_scale_2"] = DraftTensor.Of(TensorType.F32, 1);
        Assert.That(Rejects<InvalidDataException>(), Does.Contain($"two global scales, {Module}.weight_global_scale and {Module}.weight_scale_2"));
    }

    [TestCase(TensorType.F32, 2)]
    [TestCase(TensorType.F16, 1)]
    public void RejectsAGlobalScaleOfAnotherKind(TensorType type, long count)
    {
        Fp4("weight", TensorType.F8E4M3, Columns / 16);
        draft.Tensors[$"{Module}.weight_scale_2"] = DraftTensor.Of(type, count);
        Assert.That(Rejects<InvalidDataException>(), Does.Contain("F32 of one element is expected"));
    }

    [TestCase(TensorType.F8E4M3, 4)]
    [TestCase(TensorType.U8, 8)]
    public void RejectsAnotherNumberOfGroups(TensorType type, int groups)
    {
        Fp4("weight_packed", type, groups);
        draft.Tensors[$"{Module}.weight_global_scale"] = DraftTensor.Of(TensorType.F32, 1);
        Assert.That(Rejects<InvalidDataException>(), Does.Contain($"{Module}.weight_scale is ").And.Contain("is expected"));
    }

    // Integers of other tools that are also bytes.
    [Test]
    public void RejectsBytesWithScalesOfPlainFloatsByName()
    {
        Fp4("weight", TensorType.BF16, 1);
        Assert.That(Rejects<NotSupportedException>(), Does.Contain($"{Module}.weight_scale is BF16 beside codes of U8: neither NVFP4 (F8_E4M3) nor MXFP4"));
    }

    [Test]
    public void RejectsInputsWithScalesOfTheirOwn()
    {
        Fp8(TensorType.F32, "weight_scale", 1);
        draft.AddFloats($"{Module}.pre_quant_scale", Columns);
        Assert.That(Rejects<NotSupportedException>(), Does.Contain($"holds {Module}.pre_quant_scale; inputs with scales of their own"));
    }

    [TestCase("fp8", """{"fmt":"e5m2"}""", "fmt is \"e5m2\", which")]
    [TestCase("fp8", """{"weight_block_size":[128,96]}""", "weight_block_size is [128,96], which")]
    [TestCase("modelopt", """{"quant_algo":"W4A16_AWQ"}""", "quant_algo is \"W4A16_AWQ\", which")]
    [TestCase("modelopt", """{"quantized_layers":{"a":{"quant_algo":"FP8"},"b":{"quant_algo":"INT8_SQ"}}}""", "quantized_layers.b.quant_algo is \"INT8_SQ\", which")]
    [TestCase("compressed-tensors", """{"format":"int-quantized"}""", "format is \"int-quantized\", which")]
    [TestCase("compressed-tensors", """{"transform_config":{"config_groups":{"R1":{}}}}""", "transform_config is")]
    [TestCase("compressed-tensors", """{"sparsity_config":{"format":"sparse-24-bitmask"}}""", "sparsity_config.format is \"sparse-24-bitmask\", which")]
    [TestCase("compressed-tensors", """{"config_groups":{"g":{"weights":{"type":"float","num_bits":6}}}}""", "weights.num_bits is 6, which")]
    [TestCase("compressed-tensors", """{"config_groups":{"g":{"weights":{"type":"float","num_bits":8,"strategy":"token"}}}}""", "strategy is \"token\", which")]
    [TestCase("compressed-tensors", """{"config_groups":{"g":{"weights":{"type":"float","num_bits":4,"strategy":"channel"}}}}""", "strategy is \"channel\", which")]
    public void RejectsVariantsByName(string method, string section, string fault)
    {
        JsonObject json = JsonNode.Parse(section)!.AsObject();
        json["quant_method"] = method;
        draft.Root["quantization_config"] = json;
        Assert.That(Rejects<NotSupportedException>(), Does.Contain($"config.json: quantization_config.").And.Contain(fault));
    }

    [TestCase("[128]")]
    [TestCase("[128,128,1]")]
    [TestCase("[0,128]")]
    public void RejectsABlockThatIsNone(string block)
    {
        draft.Root["quantization_config"] = new JsonObject { ["quant_method"] = "fp8", ["weight_block_size"] = JsonNode.Parse(block) };
        Assert.That(Rejects<InvalidDataException>(), Does.Contain("quantization_config.weight_block_size is"));
    }

    [TestCase("FP8", null)]
    [TestCase("W4A8_AWQ", "hf_quant_config.json: quantization.quant_algo is \"W4A8_AWQ\", which")]
    public void ReadsModelOptsFileBesideTheConfiguration(string algorithm, string? fault)
    {
        Fp8(TensorType.F32, "weight_scale", 1);
        File.WriteAllText(directory.File("hf_quant_config.json"), $$$"""{"producer":{},"quantization":{"quant_algo":"{{{algorithm}}}"}}""");
        if (fault is null)
            Assert.That(Describe(), Is.InstanceOf<Fp8Module>());
        else
            Assert.That(Rejects<NotSupportedException>(), Does.Contain(fault));
    }

    // As files are spread: NVFP4 beside FP8, integers beside either.
    [Test]
    public void ModulesOfOneCheckpointAreStoredInManyWays()
    {
        Fp4("weight_packed", TensorType.F8E4M3, Columns / 16);
        draft.Tensors[$"{Module}.weight_global_scale"] = DraftTensor.Of(TensorType.F32, 1);
        draft.Tensors["lm_head.weight"] = DraftTensor.Of(TensorType.F8E4M3, CheckpointDraft.Vocab, CheckpointDraft.Hidden);
        draft.Tensors["lm_head.weight_scale"] = DraftTensor.Of(TensorType.F32, CheckpointDraft.Vocab, 1);
        string down = Module.Replace("up_proj", "down_proj", StringComparison.Ordinal);
        draft.Tensors[$"{down}.weight_packed"] = DraftTensor.Words([Columns, Rows / 8], static i => i);
        draft.Tensors[$"{down}.weight_scale"] = DraftTensor.Of(TensorType.BF16, Columns, Rows / 32);
        draft.Root["quantization_config"] = JsonNode.Parse(
            """
            {"quant_method":"compressed-tensors","format":"mixed-precision","config_groups":{
              "group_0":{"format":"nvfp4-pack-quantized","weights":{"num_bits":4,"type":"float","strategy":"tensor_group","group_size":16}},
              "group_1":{"format":"float-quantized","weights":{"num_bits":8,"type":"float","strategy":"channel"}},
              "group_2":{"format":"pack-quantized","weights":{"num_bits":4,"type":"int","strategy":"group","group_size":32}}}}
            """);
        draft.Write(directory);
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);

        Assert.That(checkpoint.Describe("layers.0.mlp.up_proj", Rows, Columns), Is.InstanceOf<Fp4Module>());
        Assert.That(checkpoint.Describe("lm_head", CheckpointDraft.Vocab, CheckpointDraft.Hidden), Is.InstanceOf<Fp8Module>());
        Assert.That(((Int4Module)checkpoint.Describe("layers.0.mlp.down_proj", Columns, Rows)).GroupSize, Is.EqualTo(32));
    }

    private void Fp8(TensorType scaleType, string scales, params long[] shape)
    {
        draft.Tensors[$"{Module}.weight"] = DraftTensor.Of(TensorType.F8E4M3, Rows, Columns);
        draft.Tensors[$"{Module}.{scales}"] = DraftTensor.Of(scaleType, shape);
    }

    private void Fp4(string codes, TensorType scaleType, int groups)
    {
        draft.Tensors[$"{Module}.{codes}"] = DraftTensor.Of(TensorType.U8, Rows, Columns / 2);
        draft.Tensors[$"{Module}.weight_scale"] = DraftTensor.Of(scaleType, Rows, groups);
    }

    private ModuleEncoding Describe()
    {
        draft.Write(directory);
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
        return checkpoint.Describe("layers.0.mlp.up_proj", Rows, Columns);
    }

    private string Rejects<TError>()
        where TError : Exception => Assert.Throws<TError>(() => Describe())!.Message;
}
