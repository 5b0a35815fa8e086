using System.Diagnostics;
using System.Text.Json.Nodes;
using static QwenIlgpu.Tests.TokenizationData;

namespace QwenIlgpu.Tests;

internal sealed class LinearTimeTests
{
    private const int Megabyte = 1 << 20;

    // One second is usual; a quadratic step anywhere would take hours.
    private static readonly TimeSpan limit = TimeSpan.FromSeconds(20);

    [TestCase("a")]
    [TestCase(" ")]
    [TestCase("\n")]
    [TestCase(" \n")]
    [TestCase("<")]
    [TestCase("\u0301")]
    [TestCase("e\u0301")]
    [TestCase("\u0301\u0316")]
    [TestCase("\uD800")]
    [TestCase("the ")]
    [TestCase("中")]
    public void EncodesAMegabyteOfOneThing(string unit) => AssertQuick(unit);

    // Tokens that strip, of white space themselves, that stand alone, and those that are found in form C.
    [TestCase("<a>\n")]
    [TestCase("\n")]
    [TestCase("  <s>x")]
    [TestCase("e\u0301")]
    [TestCase("\u0301")]
    [TestCase("word")]
    public void EncodesAMegabyteWithTokensOfEveryRule(string unit)
    {
        JsonNode file = QwenTokenizerTests.TokenizerJson();
        JsonArray tokens = file["added_tokens"]!.AsArray();
        void Add(string content, params string[] rules)
        {
            JsonObject token = new() { ["id"] = 2039 + tokens.Count, ["content"] = content, ["normalized"] = false };
            foreach (string rule in rules)
                token[rule] = true;
            tokens.Add(token);
        }

        Add("<a>", "rstrip", "lstrip");
        Add("\n", "rstrip");
        Add("<s>", "lstrip", "normalized");
        Add("e\u0301", "normalized");
        Add("word", "single_word", "normalized");
        QwenTokenizer tokenizer = QwenTokenizerTests.Load(file);

        string text = string.Concat(Enumerable.Repeat(unit, Megabyte / unit.Length));
        Stopwatch watch = Stopwatch.StartNew();
        int[] ids = tokenizer.Encode(text, parseSpecial: true);
        TestContext.Out.WriteLine($"{watch.Elapsed.TotalSeconds:F2} s, {ids.Length} ids");
        Assert.That(watch.Elapsed, Is.LessThan(limit));
    }

    private static void AssertQuick(string unit)
    {
        string text = string.Concat(Enumerable.Repeat(unit, Megabyte / unit.Length));
        Stopwatch watch = Stopwatch.StartNew();

        int[] ids = Tokenizer.Encode(text, parseSpecial: true);

        TestContext.Out.WriteLine($"{watch.Elapsed.TotalSeconds:F2} s, {ids.Length} ids");
        Assert.That(watch.Elapsed, Is.LessThan(limit));
        Assert.That(Tokenizer.Decode(ids), Is.EqualTo(Nfc.Normalize(Unicode.ReplaceUnpairedSurrogates(text))));
    }
}
