using System.Collections.Frozen;

namespace QwenIlgpu.Tests;

/// <summary>Which ids end a turn, by what each file of a checkpoint says of it.</summary>
internal sealed class StopSetTests
{
    private const int Vocabulary = 300;
    private const int ImEnd = SmallTokenizer.ImEnd;
    private const int EndOfText = SmallTokenizer.EndOfText;

    // JSON of a source → the ids that it adds. The first is the source left out.
    private static (string? Json, int[] Ids)[] IdSources(int first) =>
        [(null, []), ("null", []), ("[]", []), ($"{first}", [first]), ($"[{first + 1}.0,{first + 2}]", [first + 1, first + 2])];

    private static readonly (string? Json, int[] Ids)[] TokenSources =
        [(null, []), ("null", []), ("\"\"", []), ("\"<|endoftext|>\"", [EndOfText]), ("{\"content\":\"<|endoftext|>\",\"lstrip\":false}", [EndOfText])];

    private TemporaryDirectory directory = null!;

    [OneTimeSetUp]
    public void CreateDirectory()
    {
        directory = new TemporaryDirectory();
        SmallTokenizer.Write(directory, Vocabulary);
    }

    [OneTimeTearDown]
    public void DeleteDirectory() => directory.Dispose();

    // 5^4 files, with a template and without: each source by itself, with any other, and none at all.
    [Test]
    public void IsTheUnionOfEverySource()
    {
        QwenTokenizer tokenizer = QwenTokenizer.Load(directory.Path);
        ChatTemplate template = ChatTemplate.Load(directory.Path);
        for (int combination = 0; combination < 5 * 5 * 5 * 5; combination++)
        {
            (string? top, int[] topIds) = IdSources(1)[combination % 5];
            (string? text, int[] textIds) = IdSources(4)[combination / 5 % 5];
            (string? generation, int[] generationIds) = IdSources(7)[combination / 25 % 5];
            (string? token, int[] tokenIds) = TokenSources[combination / 125];
            int[] expected = [.. topIds, .. textIds, .. generationIds, .. tokenIds];
            WriteSources(top, text, generation, token);
            string sources = $"{top} {text} {generation} {token}";
            Assert.That(Read(tokenizer, null), Is.EquivalentTo(expected), sources);
            Assert.That(Read(tokenizer, template), Is.EquivalentTo((int[])[.. expected, ImEnd]), $"{sources} and the template");
        }
    }

    [TestCase("300", null, null, null, "config.json: eos_token_id is 300, must be a whole number from 0 to 299")]
    [TestCase(null, "[3, -1]", null, null, "config.json: text_config.eos_token_id is [3, -1], must be a whole number from 0 to 299")]
    [TestCase(null, "\"7\"", null, null, "config.json: text_config.eos_token_id is \"7\", must be a whole number from 0 to 299")]
    [TestCase(null, "[7, null]", null, null, "config.json: text_config.eos_token_id is [7, null], must be a whole number from 0 to 299")]
    [TestCase(null, "[\n  3,\n  300\n]", null, null, "config.json: text_config.eos_token_id is [ 3, 300 ], must be a whole number from 0 to 299")]
    [TestCase(null, "[7.5]", null, null, "config.json: text_config.eos_token_id is [7.5], must be a whole number from 0 to 299")]
    [TestCase(null, null, "248046", null, "generation_config.json: eos_token_id is 248046, must be a whole number from 0 to 299")]
    [TestCase(null, null, null, "\"</s>\"", "tokenizer_config.json: eos_token is \"</s>\", which is no token of tokenizer.json")]
    [TestCase(null, null, null, "{\"content\":\"</s>\"}", "tokenizer_config.json: eos_token is \"</s>\", which is no token of tokenizer.json")]
    [TestCase(null, null, null, "{}", "tokenizer_config.json: eos_token is {}, must be a token's text")]
    [TestCase(null, null, null, "7", "tokenizer_config.json: eos_token is 7, must be a string")]
    public void RefusesIdsOutsideTheVocabulary(string? top, string? text, string? generation, string? token, string fault)
    {
        QwenTokenizer tokenizer = QwenTokenizer.Load(directory.Path);
        WriteSources(top, text, generation, token);
        Assert.That(() => Read(tokenizer, null), Throws.TypeOf<InvalidDataException>().With.Message.EqualTo(Path.Combine(directory.Path, fault)));
    }

    [TestCase("bos_token_id", "config.json: text_config.bos_token_id differs from bos_token_id of config.json; neither is used")]
    [TestCase("pad_token_id", "config.json: text_config.pad_token_id differs from pad_token_id of config.json; neither is used")]
    public void NamesUnusedIdsThatDiffer(string key, string notice)
    {
        List<string> notices = [];
        WriteSources(null, null, null, null);
        Write("config.json", key, "7", $"\"text_config\": {{\"{key}\": 7.0}}");
        StopSet.Read(directory.Path, Vocabulary, null, QwenTokenizer.Load(directory.Path), null, notices.Add);
        Assert.That(notices, Is.Empty);

        Write("config.json", key, "7", $"\"text_config\": {{\"{key}\": \"none\"}}");
        StopSet.Read(directory.Path, Vocabulary, null, QwenTokenizer.Load(directory.Path), null, notices.Add);
        Assert.That(notices, Is.EqualTo(new[] { Path.Combine(directory.Path, notice) }));
    }

    [Test]
    public void LeavesIdsOutThatNoTokenHas()
    {
        WriteSources("[7, 295]", null, null, null);
        List<string> notices = [];
        Assert.That(StopSet.Read(directory.Path, Vocabulary, null, QwenTokenizer.Load(directory.Path), null, notices.Add), Is.EquivalentTo(new[] { 7 }));
        Assert.That(notices, Has.One.EndsWith("config.json: eos_token_id names 295, which no token of tokenizer.json has; nothing can end with it"));
    }

    private FrozenSet<int> Read(QwenTokenizer tokenizer, ChatTemplate? template) => StopSet.Read(
        directory.Path, Vocabulary, GenerationConfig.Load(directory.Path), tokenizer, template, notice => Assert.Fail(notice));

    private void WriteSources(string? top, string? text, string? generation, string? token)
    {
        Write("config.json", "eos_token_id", top, text is null ? "" : $"\"text_config\":{{\"eos_token_id\":{text}}}");
        Write("generation_config.json", "eos_token_id", generation);
        Write("tokenizer_config.json", "eos_token", token);
    }

    private void Write(string name, string key, string? value, string more = "")
    {
        string member = value is null ? "" : $"\"{key}\":{value}";
        File.WriteAllText(directory.File(name), $"{{{string.Join(',', ((string[])[member, more]).Where(m => m.Length > 0))}}}");
    }
}
