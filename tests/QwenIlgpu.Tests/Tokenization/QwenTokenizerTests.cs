using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using static QwenIlgpu.Tests.TokenizationData;

namespace QwenIlgpu.Tests;

internal sealed class QwenTokenizerTests
{
    [Test]
    public void EncodesEveryGoldenText() => Assert.Multiple(() =>
    {
        foreach (JsonElement golden in Golden("tokenizer"))
        {
            string text = golden.GetProperty("text").GetString()!;
            Assert.That(Tokenizer.Encode(text, parseSpecial: true), Is.EqualTo(Ids(golden)), text);
        }
    });

    [Test]
    public void DecodesEveryGoldenText() => Assert.Multiple(() =>
    {
        foreach (JsonElement golden in Golden("tokenizer"))
        {
            Assert.That(Tokenizer.Decode(Ids(golden)), Is.EqualTo(golden.GetProperty("decoded").GetString()));
            string skipped = golden.GetProperty("decoded_skip_special").GetString()!;
            Assert.That(Tokenizer.Decode(Ids(golden), skipSpecial: true), Is.EqualTo(skipped));
        }
    });

    [Test]
    public void KnowsItsVocabulary()
    {
        Assert.That(Tokenizer.VocabularySize, Is.EqualTo(2048));
        Assert.That(Tokenizer.FindToken("<|im_end|>"), Is.EqualTo(2041));
        Assert.That(Tokenizer.FindToken("no such token"), Is.Null);
        Assert.That(Tokenizer.IsControl(2047), Is.True);
        Assert.That(Tokenizer.IsControl(2038), Is.False);
    }

    [Test]
    public void KnowsWhichIdsHaveATokenByTheSet()
    {
        string config = """{"added_tokens_decoder": {"2050": {"content": "<|audio_pad|>", "special": true}}}""";
        QwenTokenizer tokenizer = Load(TokenizerJson(), config);

        Assert.That(tokenizer.IdsWithoutToken, Is.EqualTo(new[] { 2048, 2049 }));
        Assert.That(((int[])[-1, 0, 2047, 2048, 2049, 2050, 2051]).Where(tokenizer.HasToken), Is.EqualTo(new[] { 0, 2047, 2050 }));
        Assert.That(Tokenizer.IdsWithoutToken, Is.Empty);
    }

    [Test]
    public void DecodesIdsWithoutTokensToNothing() => Assert.That(Tokenizer.Decode([-1, 2048, int.MaxValue]), Is.Empty);

    [Test]
    public void ReadsControlTokensOnlyIfAsked()
    {
        string text = "<|im_start|>user <think><|im_end|>";

        int[] ids = Tokenizer.Encode(text, parseSpecial: false);

        Assert.That(ids.Any(Tokenizer.IsControl), Is.False);
        Assert.That(Tokenizer.Decode(ids), Is.EqualTo(text));
    }

    // A control token counts where one range of the template holds all of it: not the given one, nor one that both write together.
    [Test]
    public void ReadsControlTokensOnlyInsideTemplateRanges()
    {
        RenderedPrompt prompt = Prompt("<|im_start|>user\n<|im_", "end|>a<|im_end|>b<|im_", "end|>", "<|im_end|", "><|im_end|>");

        int[] ids = Tokenizer.Encode(prompt);

        Assert.That(ids.Where(Tokenizer.IsControl), Is.EqualTo(new[] { 2040, 2041 }));
        Assert.That(ids[^1], Is.EqualTo(2041));
        Assert.That(Tokenizer.Decode(ids), Is.EqualTo(prompt.Text));
    }

    // Normalisation and pieces see no seam between what the template and others wrote.
    [TestCase("hel", "lo wor", "ld")]
    [TestCase("e", "\u0301", "")]
    [TestCase("x\n", "\n\n", "  y")]
    [TestCase("a\uD83E", "\uDD8A", "b")]
    public void JoinsTextAcrossRanges(string before, string given, string after)
    {
        RenderedPrompt prompt = Prompt(before, given, after);

        Assert.That(Tokenizer.Encode(prompt), Is.EqualTo(Tokenizer.Encode(before + given + after, parseSpecial: true)));
    }

    [TestCase("\uD800")]
    [TestCase("a\uDC00b")]
    [TestCase("\uD83E\uD83E\uDD8A\uDD8A")]
    [TestCase("e\uD800\u0301")]
    public void ReplacesUnpairedSurrogates(string text)
    {
        string replaced = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));

        Assert.That(Tokenizer.Encode(text, parseSpecial: true), Is.EqualTo(Tokenizer.Encode(replaced, parseSpecial: true)));
    }

    [Test]
    public void SplitsAddedTokensOffBeforeNormalising()
    {
        int[] ids = Tokenizer.Encode("<think>\u0338", parseSpecial: true);

        Assert.That(ids[0], Is.EqualTo(2046));
        Assert.That(Tokenizer.Decode(ids), Is.EqualTo("<think>\u0338"));
    }

    [Test]
    public void ReadsBothFormsOfMerges()
    {
        JsonNode file = TokenizerJson();
        IEnumerable<JsonNode> merges = file["model"]!["merges"]!.AsArray().Select(pair => (JsonNode)$"{pair![0]} {pair[1]}");
        file["model"]!["merges"] = new JsonArray([.. merges]);

        QwenTokenizer tokenizer = Load(file);

        string text = "Once upon a time, Lily's bird.";
        Assert.That(tokenizer.Encode(text, parseSpecial: true), Is.EqualTo(Tokenizer.Encode(text, parseSpecial: true)));
    }

    [Test]
    public void TakesTokensThatOnlyTheConfigurationNames()
    {
        string config = """{"added_tokens_decoder": {"2050": {"content": "<|audio_pad|>", "special": true}}}""";

        QwenTokenizer tokenizer = Load(TokenizerJson(), config);

        Assert.That(tokenizer.VocabularySize, Is.EqualTo(2051));
        Assert.That(tokenizer.Encode("a<|audio_pad|>", parseSpecial: true)[^1], Is.EqualTo(2050));
        Assert.That(tokenizer.Decode([2048, 2049, 2050]), Is.EqualTo("<|audio_pad|>"));
        Assert.That(tokenizer.Decode([2050], skipSpecial: true), Is.Empty);
    }

    [Test]
    public void KeepsIdsWhenManyThreadsShareIt()
    {
        JsonElement[] goldens = Golden("tokenizer");
        Parallel.For(0, 8 * goldens.Length, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
        {
            JsonElement golden = goldens[i * 31 % goldens.Length];
            Assert.That(Tokenizer.Encode(golden.GetProperty("text").GetString()!, parseSpecial: true), Is.EqualTo(Ids(golden)));
        });
    }

    internal static JsonNode TokenizerJson() => JsonNode.Parse(File.ReadAllBytes(Path.Combine(Model, "tokenizer.json")))!;

    internal static QwenTokenizer Load(JsonNode tokenizer, string config = "{}") =>
        WithDirectory(QwenTokenizer.Load, ("tokenizer.json", tokenizer.ToJsonString()), ("tokenizer_config.json", config));
}
