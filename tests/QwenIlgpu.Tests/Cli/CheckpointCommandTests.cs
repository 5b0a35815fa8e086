using QwenIlgpu.Cli;

namespace QwenIlgpu.Tests.Cli;

/// <summary>Commands on checkpoints that are odd: what a command does not use cannot stop it, and an answer ends with its turn.</summary>
internal sealed class CheckpointCommandTests
{
    private const string FaultyTemplate = "chat_template.jinja: the chat template is at fault at line 1, column ";

    // The tiny model's answer ends with the template's token, whatever the two files say that others take the set from.
    [TestCase("""{"eos_token_id": 2039}""")]
    [TestCase(null)]
    public void AnAnswerEndsWithItsTurn(string? generation)
    {
        using var model = new ModelCopy();
        model.Delete("generation_config.json");
        if (generation is not null)
            model.Write("generation_config.json", generation);

        CommandLine run = CommandLine.RunModel(
            "generate", "--model", model.Path, "--no-thinking", "--greedy", "--json", "--max-tokens", "40", "What is the capital of Norway?");

        int[] ids = [.. run.Expect(ExitCode.Done).Json.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
        Assert.That(ids, Is.EqualTo(new[] { 283, 660, 329, 1313, 299, 1395, 13, 2041 }));
    }

    // Everything that it does not use is broken at once.
    [Test]
    public void LogitsNeedWeightsAlone()
    {
        using ModelCopy model = Broken();
        model.Write("tokenizer.json", "{");
        string output = model.PathOf("out.safetensors");
        CommandLine.RunWithInput("""[{"ids": [1, 2]}]""", ["logits", "--model", model.Path, "--input", "-", "--output", output, .. CommandLine.Device]).Expect(ExitCode.Done);
        Assert.That(File.Exists(output));
    }

    [Test]
    public void InfoReportsWhatItCanRead()
    {
        using ModelCopy model = Broken();
        model.Write("tokenizer.json", "{");
        model.Write("generation_config.json", "{");
        CommandLine run = CommandLine.Run("info", "--model", model.Path, "--json").Expect(ExitCode.Done);
        Assert.That(run.Json.GetProperty("tokenizer_size").ValueKind, Is.EqualTo(System.Text.Json.JsonValueKind.Null));
        Assert.That(run.Json.GetProperty("chat_template").GetString(), Does.Contain(FaultyTemplate));
        Assert.That(run.Error, Does.Contain("tokenizer.json: not valid JSON: line 1, column 2").And.Contain("generation_config.json: not valid JSON"));
    }

    // What a tensor holds is read when the model is loaded, not by who only tells of it.
    [Test]
    public void AGroupOfTooFewInputsIsRefusedWhereItIsLoaded()
    {
        using var model = new ModelCopy(TestData.TinyGptqModel);
        model.Put("model.language_model.layers.1.mlp.down_proj.g_idx", 0, 1);

        CommandLine.Run("info", "--model", model.Path).Expect(ExitCode.Done);
        string error = CommandLine.RunModel("generate", "--model", model.Path, "hi").Expect(ExitCode.Failed).Error;

        Assert.That(error, Does.Contain("down_proj.g_idx puts 127 inputs in group 0, which must have 128"));
    }

    // The context grows with the option, and with it all that is worked out or checked for it.
    [Test]
    public void RopeScalingStretchesTheContext()
    {
        System.Text.Json.JsonElement plain = CommandLine.Run("info", "--json").Expect(ExitCode.Done).Json;
        int most = plain.GetProperty("config").GetProperty("max_position_embeddings").GetInt32();
        Assert.That(plain.GetProperty("config").GetProperty("rope_scaling").ValueKind, Is.EqualTo(System.Text.Json.JsonValueKind.Null));
        string beyond = $"{4 * most}";
        Assert.That(
            CommandLine.Run("info", "--context", beyond).Expect(ExitCode.WrongUsage).Error,
            Does.Contain($"--context is {beyond}; this model was made for at most {most} tokens"));

        CommandLine run = CommandLine.Run("info", "--json", "--model", TestData.TinyModel, "--rope-scaling", "yarn,factor=4", "--context", beyond).Expect(ExitCode.Done);

        System.Text.Json.JsonElement config = run.Json.GetProperty("config");
        Assert.That(config.GetProperty("max_position_embeddings").GetInt32(), Is.EqualTo(4 * most));
        Assert.That(config.GetProperty("rope_scaling").GetProperty("original_max_position_embeddings").GetInt32(), Is.EqualTo(most));
        Assert.That(run.Json.GetProperty("memory").GetProperty("cache_context_tokens").GetInt32(), Is.EqualTo(4 * most));
        Assert.That(run.Error, Is.Empty);

        string[] generate = ["generate", "--raw", "--greedy", "--max-tokens", "1", "--context", beyond, "Once upon"];
        CommandLine.RunModel(generate).Expect(ExitCode.WrongUsage);
        CommandLine.RunModel([.. generate, "--rope-scaling", "yarn,factor=4"]).Expect(ExitCode.Done);
    }

    [Test]
    public void PerplexityNeedsNeitherTemplateNorEndIds()
    {
        using ModelCopy model = Broken();
        CommandLine.RunWithInput("Once upon a time", ["perplexity", "--model", model.Path, "-", .. CommandLine.Device]).Expect(ExitCode.Done);
    }

    // Neither template nor end ids nor any default of sampling.
    [Test]
    public void ARawGreedyGenerationIgnoringItsEndNeedsNoneOfThem()
    {
        using ModelCopy model = Broken();
        CommandLine run = CommandLine.RunModel(
            "generate", "--model", model.Path, "--raw", "--greedy", "--ignore-eos", "--max-tokens", "2", "Once upon").Expect(ExitCode.Done);
        Assert.That(run.Output, Does.StartWith(" a time"));
        Assert.That(run.Error, Does.Contain("presence_penalty is 5, must be from -2 to 2 (0 is off): it is left out"));
    }

    // The weights are damaged as well, which is found out later.
    [TestCase("generate", "hi")]
    [TestCase("chat")]
    public void AFaultyTemplateIsRefusedBeforeTheWeights(params string[] command)
    {
        using var model = new ModelCopy();
        model.Write("chat_template.jinja", "{{ messages");
        model.Put("model.language_model.layers.0.mlp.up_proj.weight", 0, 0x7FC0);
        string error = CommandLine.RunModel([.. command, "--model", model.Path]).Expect(ExitCode.Failed).Error;
        Assert.That(error, Does.Contain(FaultyTemplate).And.Not.Contain("non-finite"));
        Assert.That(CommandLine.RunModel([.. command, "--model", model.Path, "--chat-template", "qwen3.6"]).Expect(ExitCode.Failed).Error, Does.Contain("non-finite"));
    }

    // As above; and what is given explicitly is not asked of the checkpoint.
    [TestCase("top_p is 0, must be above 0 and at most 1 (off)", "--temperature", "1", "--top-k", "5")]
    [TestCase("temperature is -1, must be a number of at least 0 (0 is greedy)")]
    [TestCase("non-finite", "--preset", "coding", "--frequency-penalty", "0")]
    [TestCase("non-finite", "--greedy")]
    public void ABadDefaultIsRefusedBeforeTheWeightsWhereItIsUsed(string fault, params string[] options)
    {
        using ModelCopy model = Broken();
        model.Delete("chat_template.jinja");
        model.Put("model.language_model.layers.0.mlp.up_proj.weight", 0, 0x7FC0);
        string error = CommandLine.RunModel(["generate", "hi", "--ignore-eos", "--model", model.Path, .. options]).Expect(ExitCode.Failed).Error;
        Assert.That(error, Does.Contain(fault));
        Assert.That(error, fault == "non-finite" ? Does.Not.Contain("is -1") : Does.Contain("generation_config.json: ").And.Not.Contain("non-finite"));
    }

    [Test]
    public void InputThatIsNoJsonIsRefusedByLineAndColumn() => Assert.That(
        CommandLine.RunWithInput("[\"é\",\n \"b\" \"c\"]", "tokenize", "--input", "-").Expect(ExitCode.Failed).Error,
        Does.Contain("standard input: not valid JSON: line 2, column 6: a comma or ] is expected, not \"\"\""));

    private static ModelCopy Broken()
    {
        var model = new ModelCopy();
        model.Write("chat_template.jinja", "{{ messages");
        model.Write(
            "generation_config.json",
            """{"eos_token_id": [99999], "top_k": -7, "top_p": 0, "min_p": "x", "presence_penalty": 5, "temperature": -1, "pad_token_id": 99999}""");
        return model;
    }
}
