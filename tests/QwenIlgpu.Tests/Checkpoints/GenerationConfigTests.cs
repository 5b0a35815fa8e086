namespace QwenIlgpu.Tests;

internal sealed class GenerationConfigTests
{
    private TemporaryDirectory directory = null!;

    [SetUp]
    public void CreateDirectory() => directory = new TemporaryDirectory();

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    [Test]
    public void KeepsWhatTheFileWrites()
    {
        GenerationConfig config = Load("""{"do_sample": true, "temperature": 1.0, "top_k": "many", "min_p": null}""")!;
        Assert.That(config.DoSample, Is.True);
        Assert.That(config.Raw("temperature")!.Value.GetDouble(), Is.EqualTo(1));
        Assert.That(config.Raw("top_k")!.Value.GetString(), Is.EqualTo("many"));
        Assert.That((config.Raw("min_p"), config.Raw("top_p")), Is.EqualTo((null as System.Text.Json.JsonElement?, null as System.Text.Json.JsonElement?)));
    }

    [Test]
    public void ACheckpointMayHaveNone() => Assert.That(GenerationConfig.Load(directory.Path), Is.Null);

    [Test]
    public void RefusesTwoValuesOfOneKey() => Assert.That(
        () => Load("""{"top_k": 20, "top_k": 40}""")!.Raw("top_k"),
        Throws.TypeOf<InvalidDataException>().With.Message.EndsWith("top_k is given twice, as 20 and as 40"));

    // Every request reads the model's one, on its caller's thread.
    [Test]
    public void MayBeReadByManyThreadsAtOnce()
    {
        const int Keys = 50_000;
        GenerationConfig config = Load("""{"top_k": 20}""")!;

        Parallel.For(0, Keys, i => config.Raw($"key {i}"));

        Assert.That(config.Raw("top_k")!.Value.GetInt32(), Is.EqualTo(20));
        Assert.That(config.Json.Asked, Has.Count.EqualTo(Keys + 1));
    }

    private GenerationConfig? Load(string json)
    {
        File.WriteAllText(directory.File("generation_config.json"), json);
        return GenerationConfig.Load(directory.Path);
    }
}
