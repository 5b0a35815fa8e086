namespace QwenIlgpu.Tests;

/// <summary>Weights that are no numbers are refused on load, but for rows that nobody may come to use.</summary>
internal sealed class DamagedWeightsTests
{
    private const string Layer = "model.language_model.layers.";

    [TestCase("5.mlp.down_proj.weight", 100, 0x7FC0, "NaN", "[0, 100]")]
    [TestCase("3.self_attn.q_proj.weight", 256, 0x7F80, "Infinity", "[1, 0]")]
    [TestCase("0.linear_attn.in_proj_a.weight", 1, 0xFF80, "-Infinity", "[0, 1]")]
    [TestCase("0.linear_attn.conv1d.weight", 5, 0x7FC0, "NaN", "[1, 0, 1]")]
    [TestCase("7.post_attention_layernorm.weight", 255, 0xFFFF, "NaN", "[255]")]
    public async Task AreRefusedByTensorAndElement(string tensor, int element, int bits, string value, string place)
    {
        using var model = new ModelCopy();
        model.Put(Layer + tensor, element, (ushort)bits);
        Assert.That(await LoadErrorAsync(model), Is.EqualTo(
            $"{model.PathOf("model.safetensors")}: tensor {Layer}{tensor} holds a non-finite value ({value}) at element {element}, {place}: "
            + "the weights are damaged; fetch the file again"));
    }

    [Test]
    public async Task AreRefusedInScalesAndWhereTheyArePacked()
    {
        using var packed = new ModelCopy(TestData.TinyGptqModel);
        packed.Put($"{Layer}0.mlp.up_proj.scales", 3, 0x7E00);
        Assert.That(await LoadErrorAsync(packed), Does.Contain($"tensor {Layer}0.mlp.up_proj.scales holds a non-finite value (NaN) at element 3, [0, 3]"));

        using var plain = new ModelCopy();
        plain.Put($"{Layer}0.mlp.up_proj.weight", 3, 0x7F80);
        Assert.That(await LoadErrorAsync(plain, WeightQuantization.Int4), Does.Contain("holds a non-finite value (Infinity) at element 3, [0, 3]"));
    }

    [TestCase("lm_head.weight")]
    [TestCase("model.language_model.embed_tokens.weight")]
    public async Task MayStandInRowsOfTheVocabulary(string tensor)
    {
        using var model = new ModelCopy();
        model.Put(tensor, (7 * 256) + 3, 0x7FC0);
        await using QwenModel loaded = await QwenModel.LoadAsync(model.Path, new ModelOptions { Device = TestModels.Device });
        Assert.That(
            loaded.DescribeNonFiniteWeights(CancellationToken.None), Is.EqualTo($"tensor {tensor} in model.safetensors holds NaN at [7, 3]"));

        model.Write("config.json", "{");
        Assert.That(loaded.DescribeNonFiniteWeights(CancellationToken.None), Does.StartWith("the checkpoint cannot be read again to look for it: "));
    }

    [Test]
    public async Task AreIgnoredInTensorsThatAreNotLoaded()
    {
        using var model = new ModelCopy();
        model.Put("mtp.fc.weight", 0, 0x7FC0);
        await using QwenModel loaded = await QwenModel.LoadAsync(model.Path, new ModelOptions { Device = TestModels.Device });
        Assert.That(loaded.DescribeNonFiniteWeights(CancellationToken.None), Is.EqualTo("no tensor of the checkpoint holds a non-finite value"));
    }

    private static async Task<string> LoadErrorAsync(ModelCopy model, WeightQuantization quantization = WeightQuantization.None)
    {
        try
        {
            await using QwenModel loaded = await QwenModel.LoadAsync(model.Path, new ModelOptions { Device = TestModels.Device, Quantization = quantization });
            return "";
        }
        catch (InvalidDataException error)
        {
            return error.Message;
        }
    }
}
