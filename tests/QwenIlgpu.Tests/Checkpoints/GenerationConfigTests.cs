namespace QwenIlgpu.Tests;

internal sealed class GenerationConfigTests
{
    private TemporaryDirectory directory = null!;

    private string FilePath => directory.File("generation_config.json");

    [SetUp]
    public void CreateDirectory() => directory = new TemporaryDirectory();

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    [Test]
    public void ReadsPublishedFile()
    {
        GenerationConfig config = Load(
            """
            {"bos_token_id": 248044, "do_sample": true, "eos_token_id": [248046, 248044], "pad_token_id": 248044, "temperature": 1.0,
             "top_k": 20, "top_p": 0.95, "transformers_version": "4.57.1"}
            """);
        Assert.That((config.BosTokenId, config.PadTokenId, config.DoSample), Is.EqualTo(((int?)248044, (int?)248044, (bool?)true)));
        Assert.That((config.Temperature, config.TopK, config.TopP), Is.EqualTo(((double?)1, (int?)20, (double?)0.95)));
        Assert.That((config.MinP, config.RepetitionPenalty, config.MaxNewTokens), Is.EqualTo(((double?)null, (double?)null, (int?)null)));
        Assert.That(config.EosTokenIds, Is.EqualTo(new[] { 248046, 248044 }));
    }

    [Test]
    public void ReadsSingleEndAndSilence()
    {
        Assert.That(Load("""{"eos_token_id": 7, "top_k": null}""").EosTokenIds, Is.EqualTo(new[] { 7 }));
        Assert.That(Load("{}").EosTokenIds, Is.Empty);
    }

    [TestCase("""{"eos_token_id": "7"}""", "eos_token_id is \"7\", must be a whole number")]
    [TestCase("""{"eos_token_id": [7, -1]}""", "eos_token_id is [7, -1], must be a whole number")]
    [TestCase("""{"temperature": -1}""", "temperature is -1, must be from 0")]
    [TestCase("""{"temperature": "hot"}""", "temperature is \"hot\", must be a finite number")]
    [TestCase("""{"top_p": 1.5}""", "top_p is 1.5, must be from 0 to 1")]
    [TestCase("""{"top_k": 2.5}""", "top_k is 2.5, must be a whole number")]
    [TestCase("""{"repetition_penalty": 0}""", "repetition_penalty is 0, must be from")]
    [TestCase("""{"do_sample": 1}""", "do_sample is 1, must be true or false")]
    [TestCase("""{"max_new_tokens": 0}""", "max_new_tokens is 0, must be")]
    [TestCase("""{"top_k": 20""", "not valid JSON")]
    public void RejectsBadValues(string json, string fault) =>
        Assert.That(Assert.Throws<InvalidDataException>(() => Load(json))!.Message, Does.StartWith(FilePath).And.Contains(fault));

    private GenerationConfig Load(string json)
    {
        File.WriteAllText(FilePath, json);
        return GenerationConfig.Load(FilePath);
    }
}
