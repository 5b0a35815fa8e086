using System.Text.Json.Nodes;

namespace QwenIlgpu.Tests;

/// <summary>Added tokens with the rules that fine-tunes save, as Hugging Face's tokenizers read them: ids are worked out by hand.</summary>
internal sealed class AddedTokenTests
{
    private const int Search = 2048;
    private const int Other = 2049;

    // Single bytes of the vocabulary, and " b".
    private const int A = 64, B = 65, X = 87, Y = 88, Blank = 220, BlankB = 263;

    // The last is matched in form C, where no such token stands.
    [TestCase("a <search> b", A, Blank, Search, BlankB)]
    [TestCase("x<search>y", X, Search, Y)]
    [TestCase("<search>\u0338", 27, 334, 281, 370, 158, 231, 107)]
    public void ANormalizedTokenIsFoundInFormC(string text, params int[] ids) =>
        Assert.That(Load(Added(Search, "<search>", "normalized")).Encode(text, parseSpecial: true), Is.EqualTo(ids));

    // So is the token itself.
    [TestCase("x<e\u0301>y")]
    [TestCase("x<\u00E9>y")]
    public void ANormalizedTokenHasFormCToo(string text)
    {
        Assert.That(Load(Added(Search, "<e\u0301>", "normalized")).Encode(text, parseSpecial: true), Is.EqualTo(new[] { X, Search, Y }));
        Assert.That(Load(Added(Search, "<\u00E9>", "normalized")).Encode(text, parseSpecial: true), Is.EqualTo(new[] { X, Search, Y }));
        int[] raw = Load(Added(Search, "<e\u0301>")).Encode(text, parseSpecial: true);
        Assert.That(raw.Contains(Search), Is.EqualTo(text.Length == 6), "found in the text as it is");
    }

    // Those that are found in the text as it is come first, however short.
    [Test]
    public void TokensOfTheTextAsItIsComeFirst()
    {
        QwenTokenizer tokenizer = Load(Added(Search, "xx#%", "normalized"), Added(Other, "#%"));
        Assert.That(tokenizer.Encode("xx#%x", parseSpecial: true), Is.EqualTo((int[])[.. tokenizer.Encode("xx", false), Other, X]));
        Assert.That(Load(Added(Search, "xx#%", "normalized"), Added(Other, "#%", "normalized")).Encode("xx#%x", true), Is.EqualTo(new[] { Search, X }));
    }

    [TestCase("a <s> b", new[] { "lstrip" }, A, Search, BlankB)]
    [TestCase("a <s> b", new[] { "rstrip" }, A, Blank, Search, B)]
    [TestCase("a \n\t<s>\u00A0\u2003 b", new[] { "lstrip", "rstrip" }, A, Search, B)]
    [TestCase("a \n\t<s>\u00A0\u2003 b", new[] { "lstrip", "rstrip", "normalized" }, A, Search, B)]
    [TestCase("<s>  <s>", new[] { "lstrip", "rstrip" }, Search, Search)]
    [TestCase("  <s>  ", new[] { "lstrip", "rstrip" }, Search)]
    [TestCase("<s>\u200Bb", new[] { "rstrip" }, Search, 1510, 233, B)]
    public void ATokenTakesWhiteSpace(string text, string[] rules, params int[] ids) =>
        Assert.That(Load(Added(Search, "<s>", rules)).Encode(text, parseSpecial: true), Is.EqualTo(ids));

    // What lies in white space that was taken is found all the same, as the search goes on behind the token itself.
    [Test]
    public void ATokenOfWhiteSpaceIsFoundInWhatAnotherTook() =>
        Assert.That(Load(Added(Search, "<s>", "rstrip"), Added(Other, "\n")).Encode("<s>\nb", parseSpecial: true), Is.EqualTo(new[] { Search, Other, B }));

    [TestCase("<s>", true)]
    [TestCase(" <s>.", true)]
    [TestCase("-<s>\u20AC", true)]
    [TestCase("<s>\u00BD", true)]
    [TestCase("x<s>", false)]
    [TestCase("<s>x", false)]
    [TestCase("_<s>", false)]
    [TestCase("<s>7", false)]
    [TestCase("<s>\u2164", false)]
    [TestCase("\u24B6<s>", false)]
    [TestCase("<s>\u200D", false)]
    [TestCase("\U0001D4B3<s>", false)]
    [TestCase("<s>\U0001F130", false)]
    [TestCase("<s>\U0001F98A", true)]
    public void ASingleWordHasNoWordBesideIt(string text, bool found)
    {
        foreach (string[] rules in (string[][])[["single_word"], ["single_word", "normalized"]])
        {
            QwenTokenizer tokenizer = Load(Added(Search, "<s>", rules));
            int[] ids = tokenizer.Encode(text, parseSpecial: true);
            Assert.That(ids.Contains(Search), Is.EqualTo(found));
            Assert.That(tokenizer.Decode(ids), Is.EqualTo(text));
        }
    }

    // No shorter token is looked for in one that is passed over.
    [Test]
    public void ATokenThatIsPassedOverIsOrdinaryText()
    {
        QwenTokenizer tokenizer = Load(Added(Search, "zqx", "single_word"), Added(Other, "zq"));
        Assert.That(tokenizer.Encode("zqxa", parseSpecial: true), Is.EqualTo(tokenizer.Encode("zqxa", parseSpecial: false)));
        Assert.That(tokenizer.Encode("zqx zq", parseSpecial: true), Is.EqualTo(new[] { Search, Blank, Other }));
    }

    // As for tokens of the text as it is: only what the template wrote by itself counts.
    [Test]
    public void ANormalizedTokenCountsInsideTemplateRanges()
    {
        QwenTokenizer tokenizer = Load(Added(Search, "<search>", "normalized"));
        RenderedPrompt prompt = TokenizationData.Prompt("e\u0301<search>", "<search>e\u0301<sea", "rch>e\u0301", "\u0338<search>", "<search>", "\u0338");

        int[] ids = tokenizer.Encode(prompt);

        Assert.That(tokenizer.Decode(ids), Is.EqualTo(Nfc.Normalize(prompt.Text)));
        Assert.That(ids.Count(id => id == Search), Is.EqualTo(1));
        Assert.That(tokenizer.Decode(ids.AsSpan(0, Array.IndexOf(ids, Search))), Is.EqualTo("\u00E9"));
    }

    // Neither file has to say it: what is special is not normalised, all else is.
    [TestCase("""{"content": "<search>"}""", false)]
    [TestCase("""{"content": "<search>", "special": true}""", true)]
    [TestCase("""{"content": "<search>", "normalized": null, "special": true}""", true)]
    [TestCase("""{"content": "<search>", "normalized": false}""", true)]
    public void WhatIsNotSpecialIsNormalised(string token, bool found)
    {
        QwenTokenizer tokenizer = QwenTokenizerTests.Load(QwenTokenizerTests.TokenizerJson(), $$"""{"added_tokens_decoder": {"2048": {{token}}} }""");
        Assert.That(tokenizer.Encode("<search>\u0338", parseSpecial: true).Contains(Search), Is.EqualTo(found));
    }

    [Test]
    public void TheTokenizersFileSaysWhichRulesATokenHas()
    {
        string config = """{"added_tokens_decoder": {"2041": {"content": "<|im_end|>", "special": true, "lstrip": true}}}""";
        QwenTokenizer tokenizer = QwenTokenizerTests.Load(QwenTokenizerTests.TokenizerJson(), config);
        Assert.That(tokenizer.Notices, Has.Count.EqualTo(1).And.All.EndsWith(
            "has other rules for token 2041 \"<|im_end|>\" (normalized, single_word, lstrip, rstrip) than tokenizer.json, which counts"));
        Assert.That(tokenizer.Encode("a <|im_end|>", parseSpecial: true), Is.EqualTo(new[] { A, Blank, 2041 }));
    }

    // Qwen2's pattern cuts before a mark; this vocabulary has no merge over the border.
    [Test]
    public void ReadsQwen2sPattern()
    {
        JsonNode file = QwenTokenizerTests.TokenizerJson();
        file["pre_tokenizer"]!["pretokenizers"]![0]!["pattern"]!["Regex"] = QwenPattern.Qwen2.Source;
        Assert.That(QwenTokenizerTests.Load(file).Encode("x\u0323\u0301y", parseSpecial: false), Is.EqualTo(new[] { X, 136, 96, 136, 223, Y }));
    }

    private static JsonObject Added(int id, string content, params string[] rules)
    {
        JsonObject token = new() { ["id"] = id, ["content"] = content, ["special"] = false };
        foreach (string rule in (string[])["single_word", "lstrip", "rstrip", "normalized"])
            token[rule] = rules.Contains(rule);
        return token;
    }

    private static QwenTokenizer Load(params JsonObject[] tokens)
    {
        JsonNode file = QwenTokenizerTests.TokenizerJson();
        foreach (JsonObject token in tokens)
            file["added_tokens"]!.AsArray().Add(token);
        return QwenTokenizerTests.Load(file);
    }
}
