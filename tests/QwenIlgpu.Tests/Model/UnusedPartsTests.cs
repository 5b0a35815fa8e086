namespace QwenIlgpu.Tests;

/// <summary>What a caller does not use of a checkpoint cannot stop it; what it uses does so before any weight is read.</summary>
internal sealed class UnusedPartsTests
{
    private const string FaultyTemplate = "the chat template is at fault at line 1, column ";

    // A part made faulty, the parts whose use it stops, and the words with which it does.
    private static readonly (string Name, Action<ModelCopy> Break, ModelParts Stops, string Fault)[] Faults =
    [
        ("a faulty template", m => m.Write("chat_template.jinja", "{{ messages"), ModelParts.ChatTemplate, FaultyTemplate),
        ("an empty template", m => m.Write("chat_template.jinja", ""), ModelParts.ChatTemplate, "the chat template is empty"),
        ("a template in the configuration", m => { m.Delete("chat_template.jinja"); m.Edit("tokenizer_config.json", j => j["chat_template"] = "{{ messages"); }, ModelParts.ChatTemplate, FaultyTemplate),
        ("a template's pointer", m => m.Write("chat_template.jinja", "version https://git-lfs.github.com/spec/v1\n"), ModelParts.ChatTemplate, "Git LFS pointer"),
        ("no JSON of defaults", m => m.Write("generation_config.json", "Entry not found"), ModelParts.Generation | ModelParts.EndIds, "line 1, column 1"),
        ("defaults' end id", m => m.Write("generation_config.json", "{\"eos_token_id\": 2048}"), ModelParts.EndIds, "eos_token_id is 2048, must be a whole number from 0 to 2047"),
        ("the configuration's end id", m => m.Edit("config.json", j => j["text_config"]!["eos_token_id"] = -1), ModelParts.EndIds, "text_config.eos_token_id is -1"),
        ("the tokenizer's end token", m => m.Edit("tokenizer_config.json", j => j["eos_token"] = "</s>"), ModelParts.EndIds, "eos_token is \"</s>\""),
        ("unused ids", m => m.Edit("config.json", j => (j["text_config"]!["pad_token_id"], j["text_config"]!["bos_token_id"]) = (99999, "none")), ModelParts.None, ""),
        ("unused layers", m => m.Edit("config.json", j => j["text_config"]!["mtp_num_hidden_layers"] = "one"), ModelParts.None, ""),
        ("no tokenizer", m => m.Delete("tokenizer.json"), ModelParts.Tokenizer, "tokenizer.json"),
        ("no merges", m => m.Edit("tokenizer.json", j => j["model"]!.AsObject().Remove("merges")), ModelParts.Tokenizer, "model.merges is missing or empty"),
        ("no JSON of the tokenizer's configuration", m => m.Write("tokenizer_config.json", "{"), ModelParts.Tokenizer | ModelParts.ChatTemplate, "line 1, column 2"),
    ];

    private static IEnumerable<TestCaseData> Cases() => Faults.Select(f => new TestCaseData(f.Break, f.Stops, f.Fault).SetArgDisplayNames(f.Name));

    [TestCaseSource(nameof(Cases))]
    public void AFaultStopsOnlyThoseWhoUseThePart(Action<ModelCopy> make, ModelParts stops, string fault)
    {
        using var model = new ModelCopy();
        make(model);
        for (ModelParts used = ModelParts.None; used <= (ModelParts)15; used++)
        {
            // End ids are the tokenizer's too; without it nothing is drawn.
            if (used.HasFlag(ModelParts.EndIds) && !used.HasFlag(ModelParts.Tokenizer))
                continue;
            List<string> notices = [];
            void Load()
            {
                Checkpoint.Open(model.Path).Dispose();
                TextParts.Load(model.Path, 2048, null, used, notices.Add);
            }

            if ((used & stops) != 0)
                Assert.That(Load, Throws.InstanceOf<Exception>().With.Message.Contains(fault).And.Message.StartsWith(model.Path).Or.InstanceOf<FileNotFoundException>(), $"{used}");
            else
                Assert.That(Load, Throws.Nothing, $"{used}");
            Assert.That(notices, Is.All.EndsWith("neither is used"), "nobody asked for the part");
        }
    }

    [Test]
    public void ACallerWhoHasNotSaidIsToldAndMeetsTheFaultOnUse()
    {
        using var model = new ModelCopy();
        model.Write("chat_template.jinja", "{{ messages");
        model.Write("generation_config.json", "{\"eos_token_id\": 2048}");
        List<string> notices = [];
        TextParts parts = TextParts.Load(model.Path, 2048, null, null, notices.Add);
        Assert.That(notices, Has.One.Contains(FaultyTemplate).And.One.Contains("eos_token_id is 2048").And.Exactly(2).Items);
        Assert.That(() => parts.Template, Throws.TypeOf<InvalidDataException>().With.Message.Contains(FaultyTemplate));
        Assert.That(() => parts.EndIds, Throws.TypeOf<InvalidDataException>().With.Message.Contains("eos_token_id is 2048"));
        Assert.That((parts.ReadableEndIds.Count, parts.Generation is null), Is.EqualTo((0, false)));
    }

    [Test]
    public void AnUnknownNameOfATemplateIsTheCallersFault() =>
        Assert.That(() => TextParts.Load(TestData.TinyModel, 2048, "qwen4", ModelParts.None, _ => { }), Throws.ArgumentException);
}
