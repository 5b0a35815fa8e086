namespace QwenIlgpu.Tests;

internal sealed class CheckpointTests
{
    private TemporaryDirectory directory = null!;

    [SetUp]
    public void CreateDirectory() => directory = new TemporaryDirectory();

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    [TestCase("model.language_model.", "", "qwen3_5")]
    [TestCase("model.", "", "qwen3_5_text")]
    [TestCase("language_model.model.", "language_model.", "qwen3_5")]
    [TestCase("language_model.model.", "", "qwen3_5")]
    public void FindsTensorsUnderEveryPrefix(string prefix, string headPrefix, string modelType)
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors(prefix, headPrefix);
        draft.Root["model_type"] = modelType;
        draft.Write(directory);

        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);

        TensorEntry embedding = checkpoint.Get("embed_tokens.weight", CheckpointDraft.Vocab, CheckpointDraft.Hidden);
        byte[] bytes = new byte[20];
        checkpoint.Read(embedding, 40, bytes);
        Assert.That(bytes, Is.EqualTo(draft.Tensors[$"{prefix}embed_tokens.weight"].Bytes[40..60]));
        TensorEntry head = checkpoint.Get("lm_head.weight", CheckpointDraft.Vocab, CheckpointDraft.Hidden);
        Assert.That(head.Name, Is.EqualTo($"{headPrefix}lm_head.weight"));
        Assert.That(checkpoint.Find("mtp.fc.weight"), Is.Null);
        Assert.That(checkpoint.Find("layers.9.mlp.up_proj.weight"), Is.Null);
        Assert.That(checkpoint.WeightBytes, Is.EqualTo(2 * ((2 * 32 * 128) + 128 + (256 * 128))));
        Assert.That(checkpoint.SkippedBytes, Is.EqualTo(2 * ((128 * 256) + 15 + 7)));
        Assert.That(checkpoint.Tensors.Count(), Is.EqualTo(4));
        Assert.That(checkpoint.Config.HiddenSize, Is.EqualTo(CheckpointDraft.Hidden));
        Assert.That(checkpoint.Notices, Is.Empty);
        Assert.That(checkpoint.Quantization, Is.EqualTo(QuantizedModules.Undeclared));
    }

    [TestCase("no-org/no-name", "no-org/no-name: no such directory; a checkpoint holds config.json and model.safetensors; HuggingFaceCache.Find has the directory of a repository")]
    [TestCase("/no/such/model", "/no/such/model: no such directory; a checkpoint holds config.json and model.safetensors")]
    [TestCase("/no/such.gguf", "/no/such.gguf: GGUF is not supported; supported: " + WeightFormats.Supported)]
    public void WhatIsNoDirectoryIsRefusedWithWhatToDo(string path, string message) =>
        Assert.That(() => Checkpoint.Open(path), Throws.Exception.With.Message.EqualTo(message));

    [Test]
    public void OpensShards()
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.WriteSharded(directory);

        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);

        Assert.That(checkpoint.Notices, Is.Empty);
        foreach (string name in (string[])["embed_tokens.weight", "norm.weight", "layers.0.mlp.up_proj.weight"])
        {
            DraftTensor expected = draft.Tensors[$"model.language_model.{name}"];
            byte[] bytes = new byte[expected.Bytes.Length];
            checkpoint.Read(checkpoint.Get(name, expected.Shape), 0, bytes);
            Assert.That(bytes, Is.EqualTo(expected.Bytes), name);
        }
    }

    [TestCase("""{"weight_map":{"model.embed_tokens.weight":"model-00009-of-00002.safetensors"}}""", "names the file model-00009-of-00002.safetensors, which")]
    [TestCase("""{"weight_map":{"model.embed_tokens.weight":"model-00001-of-00002.safetensors"}}""", "places tensor model.embed_tokens.weight in model-00001-of-00002.safetensors, which")]
    [TestCase("""{"weight_map":{"a":"../model.safetensors"}}""", "\"../model.safetensors\", which is not the plain name")]
    [TestCase("""{"weight_map":{"a":"/etc/model.safetensors"}}""", "not the plain name")]
    [TestCase("""{"weight_map":{"a":"c:model.safetensors"}}""", "not the plain name")]
    [TestCase("""{"weight_map":{"a":"x\u0000.safetensors"}}""", "not the plain name")]
    [TestCase("""{"weight_map":{"a":"config.json"}}""", "not the plain name")]
    [TestCase("""{"weight_map":{"a":7}}""", "weight_map gives a a Number")]
    [TestCase("""{"weight_map":[]}""", "weight_map must be one object")]
    [TestCase("""{"weight_map":{}}""", "weight_map is missing or empty")]
    [TestCase("""{"metadata":{}}""", "weight_map is missing or empty")]
    [TestCase("""{"weight_map":{"a":"model-00001-of-00002.safetensors","a":"model-00001-of-00002.safetensors"}}""", "lists tensor a twice")]
    [TestCase("""[]""", "is a JSON StartArray")]
    [TestCase("""{"weight_map":{""", "not valid JSON")]
    public void RejectsBadIndex(string index, string fault)
    {
        CheckpointDraft.WithTensors().WriteSharded(directory);
        string file = directory.File("model.safetensors.index.json");
        File.WriteAllText(file, index);
        Assert.That(Rejects<InvalidDataException>(), Does.StartWith(file).And.Contains(fault));
    }

    [Test]
    public void RejectsTruncatedShard()
    {
        CheckpointDraft.WithTensors().WriteSharded(directory);
        string file = directory.File("model-00002-of-00002.safetensors");
        File.WriteAllBytes(file, File.ReadAllBytes(file)[..^1]);
        Assert.That(Rejects<InvalidDataException>(), Does.StartWith(file).And.Contains("truncated"));
    }

    [Test]
    public void ReadsNumberedFilesWithoutAnIndex()
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.WriteSharded(directory);
        File.Delete(directory.File("model.safetensors.index.json"));
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
        Assert.That(checkpoint.Tensors.Select(t => t.Name), Is.EquivalentTo(draft.Tensors.Keys.Where(n => n.StartsWith("model.language", StringComparison.Ordinal) || n.StartsWith("lm_head", StringComparison.Ordinal))));
    }

    [Test]
    public void RejectsSomeOfNumberedFiles()
    {
        CheckpointDraft.WithTensors().WriteSharded(directory);
        File.Delete(directory.File("model.safetensors.index.json"));
        File.Delete(directory.File("model-00002-of-00002.safetensors"));
        Assert.That(
            Rejects<InvalidDataException>(),
            Does.StartWith(directory.Path).And.Contains("model-00001-of-00002.safetensors is one of 1 files of weights where 2 belong together"));
    }

    [Test]
    public void RejectsATensorThatTwoNumberedFilesHold()
    {
        CheckpointDraft.WithTensors().WriteSharded(directory);
        File.Delete(directory.File("model.safetensors.index.json"));
        File.Copy(directory.File("model-00001-of-00002.safetensors"), directory.File("model-00002-of-00002.safetensors"), overwrite: true);
        Assert.That(
            Rejects<InvalidDataException>(),
            Does.Contain("is in model-00001-of-00002.safetensors and in model-00002-of-00002.safetensors"));
    }

    [Test]
    public void RejectsMissingFiles()
    {
        string missing = directory.File("no");
        Assert.That(Assert.Throws<DirectoryNotFoundException>(() => Checkpoint.Open(missing))!.Message, Does.StartWith(missing));
        Assert.That(Rejects<FileNotFoundException>(), Does.StartWith(directory.Path).And.Contains("holds no config.json"));
        CheckpointDraft.WithTensors().WriteConfig(directory);
        Assert.That(Rejects<FileNotFoundException>(), Does.Contain("neither model.safetensors nor model.safetensors.index.json"));
    }

    [Test]
    public void RejectsMissingTensorNamingItsCandidates()
    {
        CheckpointDraft.WithTensors().Write(directory);
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
        string message = Assert.Throws<InvalidDataException>(() => checkpoint.Get("layers.3.self_attn.q_norm.weight", 16))!.Message;
        Assert.That(message, Does.StartWith(directory.Path).And.Contain("tensor layers.3.self_attn.q_norm.weight is missing"));
        Assert.That(message, Does.Contain("model.language_model.layers.3.self_attn.q_norm.weight or language_model.model.layers.3."));
    }

    [Test]
    public void RejectsWrongShapeNamingBoth()
    {
        CheckpointDraft.WithTensors().Write(directory);
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
        string message = Assert.Throws<InvalidDataException>(() => checkpoint.Describe("layers.0.mlp.up_proj", 128, 256))!.Message;
        Assert.That(message, Does.Contain(
            "tensor model.language_model.layers.0.mlp.up_proj.weight is BF16 [256, 128], F32 or F16 or BF16 [128, 256] is expected"));
    }

    [Test]
    public void RejectsWrongType()
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.Tensors["model.language_model.norm.weight"] = DraftTensor.Of(TensorType.I32, 128);
        draft.Tensors["model.language_model.layers.0.mlp.up_proj.weight"] = DraftTensor.Of(TensorType.F8E5M2, 256, 128);
        draft.Write(directory);
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
        Assert.That(
            Assert.Throws<InvalidDataException>(() => checkpoint.Get("norm.weight", 128))!.Message,
            Does.Contain("tensor model.language_model.norm.weight is I32 [128], F32 or F16 or BF16 [128] is expected"));
        Assert.That(
            Assert.Throws<NotSupportedException>(() => checkpoint.Describe("layers.0.mlp.up_proj", 256, 128))!.Message,
            Does.Contain("is F8_E5M2 [256, 128]"));
    }

    [Test]
    public void RejectsUnknownTypeOnlyWhenAskedFor()
    {
        CheckpointDraft.WithTensors().Write(directory);
        string file = directory.File("model.safetensors");
        byte[] bytes = File.ReadAllBytes(file);
        int at = bytes.AsSpan().IndexOf("BF16\",\"shape\":[128]"u8);
        "QQ77"u8.CopyTo(bytes.AsSpan(at));
        File.WriteAllBytes(file, bytes);

        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);

        Assert.That(
            Assert.Throws<NotSupportedException>(() => checkpoint.Get("norm.weight", 128))!.Message,
            Does.Contain("tensor model.language_model.norm.weight has dtype QQ77, which is unknown"));
    }

    [Test]
    public void RejectsAmbiguousNames()
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.AddFloats("model.embed_tokens.weight", 1);
        draft.Write(directory);
        Assert.That(Rejects<InvalidDataException>(), Does.Contain("holds two embeddings"));

        draft = CheckpointDraft.WithTensors();
        draft.AddFloats("language_model.lm_head.weight", 1);
        draft.Write(directory);
        Assert.That(Rejects<InvalidDataException>(), Does.Contain("holds two output heads"));

        CheckpointDraft.WithTensors("text.").Write(directory);
        Assert.That(Rejects<InvalidDataException>(), Does.Contain("holds no embedding, neither model.language_model.embed_tokens.weight"));
    }

    [Test]
    public void RejectsABiasOfAnotherShape()
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        draft.AddFloats("model.language_model.layers.0.mlp.up_proj.bias", 255);
        draft.Write(directory);
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
        Assert.That(
            () => checkpoint.Describe("layers.0.mlp.up_proj", 256, 128),
            Throws.TypeOf<InvalidDataException>().With.Message.Contains("up_proj.bias is BF16 [255]"));
    }

    private string Rejects<TError>()
        where TError : Exception => Assert.Throws<TError>(() => Checkpoint.Open(directory.Path).Dispose())!.Message;
}
