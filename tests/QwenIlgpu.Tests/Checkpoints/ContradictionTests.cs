using System.Text.Json.Nodes;

namespace QwenIlgpu.Tests;

/// <summary>Two sources that say the same thing: equal is fine, different is named with the one that counts, or refused.</summary>
internal sealed class ContradictionTests
{
    private const string Single = "model.safetensors";
    private const string Index = "model.safetensors.index.json";
    private const string Head = "lm_head.weight";
    private const string Embedding = "model.language_model.embed_tokens.weight";

    private TemporaryDirectory directory = null!;

    [SetUp]
    public void CreateDirectory() => directory = new TemporaryDirectory();

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    [Test]
    public void AnIndexCountsBesideASingleFile()
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.WriteSharded(directory);
        CheckpointDraft stray = CheckpointDraft.WithTensors();
        stray.Tensors[Embedding] = stray.Tensors[Embedding] with { Bytes = new byte[stray.Tensors[Embedding].Bytes.Length] };
        stray.Write(directory);

        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);

        TensorEntry entry = checkpoint.Find("embed_tokens.weight")!;
        byte[] bytes = new byte[entry.LengthBytes];
        checkpoint.Read(entry, 0, bytes);
        Assert.That(bytes, Is.EqualTo(draft.Tensors[Embedding].Bytes));
        Assert.That(checkpoint.Notices, Is.EqualTo(new[]
        {
            $"{directory.Path}: holds {Single} beside the files that {Index} names; the index counts, {Single} is not read",
        }));
    }

    [Test]
    public void AnIndexMayNameTheSingleFile()
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.Write(directory);
        WriteIndex(draft.Tensors.Keys, static _ => Single);
        Assert.That(Notices(), Is.Empty);
    }

    [Test]
    public void AnIndexWithoutItsFilesIsRefusedBesideASingleFile()
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.Write(directory);
        WriteIndex(draft.Tensors.Keys, static _ => "model-00001-of-00001.safetensors");
        Assert.That(
            () => Notices(),
            Throws.TypeOf<InvalidDataException>().With.Message.EndsWith($"{Single} lies there too: remove {Index} if that is the whole model"));
    }

    [TestCase(true, null, true, true, 0)]
    [TestCase(null, true, true, true, 0)]
    [TestCase(true, true, false, false, 1)]
    [TestCase(true, null, false, false, 1)]
    [TestCase(true, false, false, false, 2)]
    [TestCase(false, true, false, false, 1)]
    [TestCase(false, null, true, false, 0)]
    [TestCase(null, null, false, false, 0)]
    public void AHeadOfItsOwnCountsWhereItDiffersFromTheEmbedding(bool? top, bool? text, bool equal, bool tied, int notices)
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.Root["tie_word_embeddings"] = top;
        draft.Text["tie_word_embeddings"] = text;
        if (!equal)
            draft.Tensors[Head].Bytes[^1] ^= 1;
        draft.Write(directory);

        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);

        Assert.That(checkpoint.Config.TieWordEmbeddings, Is.EqualTo(tied));
        Assert.That(checkpoint.Notices, Has.Exactly(notices).Items);
        Assert.That(checkpoint.Notices, Is.All.Contains("tie_word_embeddings").And.Contains("counts"));
    }

    [Test]
    public void AHeadOfAnotherShapeTypeOrPackingDiffers()
    {
        foreach (DraftTensor other in (DraftTensor[])[DraftTensor.Of(TensorType.BF16, 32, 64), DraftTensor.Of(TensorType.F32, 32, 128)])
        {
            CheckpointDraft draft = CheckpointDraft.WithTensors();
            draft.Root["tie_word_embeddings"] = true;
            draft.Tensors[Head] = other;
            draft.Write(directory);
            Assert.That(Notices(), Has.One.Contains("an lm_head that differs from the embedding"));
        }

        CheckpointDraft packed = CheckpointDraft.WithTensors();
        packed.Root["tie_word_embeddings"] = true;
        packed.Quantize("lm_head", CheckpointDraft.Vocab, CheckpointDraft.Hidden);
        packed.Write(directory);
        Assert.That(Notices(), Has.One.Contains("an lm_head that differs from the embedding"));
    }

    [Test]
    public void ATiedHeadMayBeAbsent()
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.Root["tie_word_embeddings"] = null;
        draft.Text["tie_word_embeddings"] = true;
        draft.Tensors.Remove(Head);
        draft.Write(directory);
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
        Assert.That((checkpoint.Config.TieWordEmbeddings, checkpoint.Notices.Count), Is.EqualTo((true, 0)));
    }

    [TestCase("hidden_size", "64", "128")]
    [TestCase("vocab_size", "248320", "32")]
    [TestCase("max_position_embeddings", "1", "512")]
    [TestCase("rms_norm_eps", "0.5", "1E-06")]
    [TestCase("layer_types", "[]", "[")]
    [TestCase("rope_parameters", "{}", "{")]
    [TestCase("linear_conv_kernel_dim", "\"x\"", "4")]
    public void TheTextModelsSectionCountsBeforeTheTopLevel(string key, string value, string counts)
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.Root[key] = JsonNode.Parse(value);
        draft.Write(directory);
        Assert.That(Notices(), Has.One.Contains($"config.json: {key} is {value}, text_config.{key} is {counts}").And.One.EndsWith($"text_config.{key} counts"));

        draft.Root[key] = draft.Text[key]!.DeepClone();
        draft.Write(directory);
        Assert.That(Notices(), Is.Empty);
    }

    [Test]
    public void OneOfTwoPackingsCounts()
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.Root["quantization_config"] = CheckpointDraft.Gptq();
        draft.Text["quantization_config"] = CheckpointDraft.Gptq();
        draft.Write(directory);
        Assert.That(Notices(), Is.Empty);

        draft.Text["quantization_config"]!["damp_percent"] = 0.1;
        draft.Write(directory);
        Assert.That(Notices(), Has.One.EndsWith("quantization_config and text_config.quantization_config differ; quantization_config counts"));

        draft.Text["quantization_config"]!["bits"] = 8;
        draft.Write(directory);
        Assert.That(() => Notices(), Throws.TypeOf<NotSupportedException>().With.Message.Contains("text_config.quantization_config.bits is 8"));
    }

    [Test]
    public void AnIntervalYieldsToTheListOfLayers()
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.Text["full_attention_interval"] = 4;
        draft.Write(directory);
        Assert.That(Notices(), Is.Empty);
        draft.Text["full_attention_interval"] = 2;
        draft.Write(directory);
        Assert.That(Notices(), Has.One.EndsWith("text_config.layer_types and full_attention_interval 2 differ; layer_types counts"));
    }

    [Test]
    public void RefusesTwoBasesOfTheRotation()
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.Text["rope_scaling"] = new JsonObject { ["rope_type"] = "default", ["rope_theta"] = 10000 };
        draft.Write(directory);
        Assert.That(
            () => Notices(),
            Throws.TypeOf<InvalidDataException>().With.Message.Contains("rope_parameters.rope_theta is 10000000, but text_config.rope_scaling.rope_theta is 10000"));
    }

    [Test]
    public void RefusesTwoValuesOfOneKey()
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.Write(directory);
        string text = File.ReadAllText(directory.File("config.json")).Replace("\"hidden_size\":128", "\"hidden_size\":128,\"hidden_size\":64", StringComparison.Ordinal);
        File.WriteAllText(directory.File("config.json"), text);
        Assert.That(() => Notices(), Throws.TypeOf<InvalidDataException>().With.Message.EndsWith("text_config.hidden_size is given twice, as 128 and as 64"));
    }

    [TestCase("bos_token_id")]
    [TestCase("pad_token_id")]
    public void IdsThatAreNotUsedMayBeAnything(string key)
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.Root[key] = "none";
        draft.Text[key] = 99999;
        draft.Write(directory);
        Assert.That(Notices(), Is.Empty);
    }

    [TestCase("true", 0)]
    [TestCase("false", 1)]
    public void TheTokenizersFileSaysWhetherATokenIsSpecial(string special, int notices)
    {
        string config = $$"""{"added_tokens_decoder": {"290": {"content": "<|im_end|>", "special": {{special}} } } }""";
        SmallTokenizer.Write(directory, 300, JsonNode.Parse(config)!.AsObject());
        QwenTokenizer tokenizer = QwenTokenizer.Load(directory.Path);
        Assert.That(tokenizer.Notices, Has.Exactly(notices).Items);
        Assert.That(tokenizer.Notices, Is.All.EndsWith(
            "tokenizer_config.json: added_tokens_decoder says that token 290 \"<|im_end|>\" is not special; tokenizer.json says otherwise, and counts"));
        Assert.That(tokenizer.Decode([SmallTokenizer.ImEnd], skipSpecial: true), Is.Empty);
    }

    [Test]
    public void RefusesTwoIdsOfOneToken()
    {
        JsonObject file = SmallTokenizer.Json();
        file["model"]!["vocab"]!["<|im_end|>"] = 292;
        SmallTokenizer.Write(directory, 300);
        File.WriteAllText(directory.File("tokenizer.json"), file.ToJsonString());
        Assert.That(
            () => QwenTokenizer.Load(directory.Path),
            Throws.TypeOf<InvalidDataException>().With.Message.EndsWith("tokenizer.json: added token \"<|im_end|>\" has the id 290, in model.vocab 292"));

        string config = """{"added_tokens_decoder": {"293": {"content": "<|im_end|>"}}}""";
        SmallTokenizer.Write(directory, 300, JsonNode.Parse(config)!.AsObject());
        Assert.That(
            () => QwenTokenizer.Load(directory.Path),
            Throws.TypeOf<InvalidDataException>().With.Message.EndsWith("added token \"<|im_end|>\" has two ids, 290 and 293"));

        string twice = SmallTokenizer.Json().ToJsonString().Replace("\"vocab\":{", "\"vocab\":{\"!\":7,", StringComparison.Ordinal);
        File.WriteAllText(directory.File("tokenizer.json"), twice);
        Assert.That(() => QwenTokenizer.Load(directory.Path), Throws.TypeOf<InvalidDataException>().With.Message.Contains("token \"!\" has two ids, 7 and "));
    }

    [TestCase("{{ messages }}\n", null)]
    [TestCase("{{ tools }}", "chat_template.jinja and the chat_template of tokenizer_config.json differ; chat_template.jinja counts")]
    public void AFileOfItsOwnCountsAsTheTemplate(string inConfig, string? notice)
    {
        SmallTokenizer.Write(directory, 300, new JsonObject { ["chat_template"] = inConfig });
        File.WriteAllText(directory.File("chat_template.jinja"), "{{ messages }}");
        ChatTemplate template = ChatTemplate.Load(directory.Path);
        Assert.That((template.Name, template.Notice), Is.EqualTo(("chat_template.jinja", notice)));
    }

    [Test]
    public void LeavesTensorsOutThatTheTextModelDoesNotUse()
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        string[] skipped = ["mtp.fc.weight", "model.visual.pos_embed.weight", "some.other.thing"];
        draft.Write(directory);
        CheckpointDraft text = CheckpointDraft.WithTensors();
        foreach (string name in skipped)
            text.Tensors.Remove(name);
        text.Write(directory);
        File.Move(directory.File(Single), directory.File("model-00001-of-00003.safetensors"));

        // One is missing in a file that is there; one lies in a file that is not there, one in a file that cannot be read.
        File.WriteAllText(directory.File("model-00003-of-00003.safetensors"), "version https://git-lfs.github.com/spec/v1\n");
        WriteIndex(draft.Tensors.Keys, name => $"model-{Math.Max(1, Array.IndexOf(skipped, name) + 1):d5}-of-00003.safetensors");
        IReadOnlyList<string> notices = Notices();
        Assert.That(notices, Has.Count.EqualTo(2));
        Assert.That(notices, Has.One.Contains("model-00003-of-00003.safetensors: is a Git LFS pointer").And.One.Contains("3 such tensors, none of the text model, are left out"));

        // What the text model uses must be there, in whichever way it is missing.
        WriteIndex(draft.Tensors.Keys, name => $"model-{(name == Head ? 2 : 1):d5}-of-00003.safetensors");
        Assert.That(() => Notices(), Throws.TypeOf<InvalidDataException>().With.Message.Contains("names the file model-00002-of-00003.safetensors"));
        WriteIndex(draft.Tensors.Keys, name => $"model-{(name == Head ? 3 : 1):d5}-of-00003.safetensors");
        Assert.That(() => Notices(), Throws.TypeOf<InvalidDataException>().With.Message.Contains("is a Git LFS pointer; run git lfs pull"));
        WriteIndex([.. draft.Tensors.Keys, "model.language_model.layers.9.x"], static _ => "model-00001-of-00003.safetensors");
        Assert.That(() => Notices(), Throws.TypeOf<InvalidDataException>().With.Message.Contains("places tensor model.language_model.layers.9.x in"));
    }

    private void WriteIndex(IEnumerable<string> tensors, Func<string, string> shardOf)
    {
        JsonObject map = new([.. tensors.Select(name => KeyValuePair.Create(name, (JsonNode?)shardOf(name)))]);
        File.WriteAllText(directory.File(Index), new JsonObject { ["weight_map"] = map }.ToJsonString());
    }

    private IReadOnlyList<string> Notices()
    {
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
        return checkpoint.Notices;
    }
}
