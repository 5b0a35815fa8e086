using System.Text.Json.Nodes;
using static QwenIlgpu.Tests.TokenizationData;

namespace QwenIlgpu.Tests;

internal sealed class TokenizerFileTests
{
    [TestCase("model/type", "\"WordPiece\"", "model type is \"WordPiece\", supported is \"BPE\"")]
    [TestCase("model/ignore_merges", "true", "model.ignore_merges is \"true\", supported is \"false\"")]
    [TestCase("model/unk_token", "\"<unk>\"", "model.unk_token is \"<unk>\", supported is \"\"")]
    [TestCase("normalizer/type", "\"NFKC\"", "normalizer is \"NFKC\", supported is \"NFC\"")]
    [TestCase("normalizer", "null", "normalizer is \"null\", supported is \"NFC\"")]
    [TestCase("pre_tokenizer/type", "\"Whitespace\"", "pre_tokenizer is \"Whitespace\", supported is \"Split + ByteLevel\"")]
    [TestCase("pre_tokenizer/pretokenizers/0/pattern/Regex", "\"\\\\w+\"", "pre_tokenizer pattern is \"\\w+\", supported is")]
    [TestCase("pre_tokenizer/pretokenizers/0/behavior", "\"Removed\"", "pre_tokenizer behavior is \"Removed\", supported is \"Isolated\"")]
    [TestCase("pre_tokenizer/pretokenizers/1/add_prefix_space", "true", "pre_tokenizer: add_prefix_space is true, supported is false")]
    [TestCase("pre_tokenizer/pretokenizers/1/use_regex", "true", "use_regex is not false")]
    [TestCase("pre_tokenizer/pretokenizers/1/type", "\"Digits\"", "pre_tokenizer is \"Split + Digits\"")]
    [TestCase("pre_tokenizer", """{"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}""", "pre_tokenizer is \"ByteLevel\"")]
    [TestCase("pre_tokenizer", """{"type": "Split + ByteLevel"}""", "pre_tokenizer is \"Split + ByteLevel\"")]
    [TestCase("normalizer", """{"type": "Sequence", "normalizers": []}""", "normalizer is \"an empty Sequence\", supported is \"NFC\"")]
    [TestCase("normalizer", """{"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]}""", "normalizer is \"Lowercase\", supported is \"NFC\"")]
    [TestCase("decoder", """{"type": "Sequence", "decoders": [{"type": "ByteLevel"}, {"type": "Strip"}]}""", "decoder is \"ByteLevel + Strip\"")]
    [TestCase("decoder", null, "decoder is missing, supported is ByteLevel")]
    [TestCase("normalizer", null, "normalizer is missing, supported is NFC")]
    [TestCase("post_processor", """{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}]}""", "post_processor is \"TemplateProcessing\"")]
    [TestCase("model/dropout", "0.1", "model.dropout is \"0.1\", supported is \"null\"")]
    [TestCase("decoder/type", "\"Metaspace\"", "decoder is \"Metaspace\", supported is \"ByteLevel\"")]
    [TestCase("post_processor/type", "\"TemplateProcessing\"", "post_processor is \"TemplateProcessing\"")]
    public void RejectsUnknownRulesByName(string path, string? value, string message)
    {
        NotSupportedException error = Assert.Throws<NotSupportedException>(() => QwenTokenizerTests.Load(With(path, value)))!;

        Assert.That(error.Message, Does.Contain("tokenizer.json: ").And.Contains(message));
    }

    [TestCase("model/merges/5", "[\"q\", \"zz\"]", "a token 'qzz' which not exist in the vocabulary")]
    [TestCase("model/merges/5", "[\"v\", \"ery\"]", "a token 'ery' which not exist in the vocabulary")]
    [TestCase("model/merges/5", "[\"ha\", \"t\"]", "a token 'ha' which not exist in the vocabulary")]
    [TestCase("model/merges/5", "[\"h\", \"e \"]", "merge 5 \"h e \" is not two tokens")]
    [TestCase("model/merges/5", "\"the\"", "merge 5 \"the\" is not two tokens")]
    [TestCase("model/merges", "{}", "model.merges is StartObject, not StartArray")]
    [TestCase("model/merges", "[]", "model.merges is missing or empty")]
    [TestCase("model/merges", null, "model.merges is missing or empty")]
    [TestCase("model/vocab/!", "1.5", "the id of token \"!\" is not a whole number from 0 to 1048575")]
    [TestCase("model/vocab/!", "9999999999", "the id of token \"!\" is not a whole number from 0 to 1048575")]
    [TestCase("added_tokens", "{}", "added_tokens is Object, not Array")]
    [TestCase("added_tokens/0", "{\"content\": \"x\"}", "which has no whole number as its id")]
    [TestCase("added_tokens/0", "[]", "which has no whole number as its id")]
    [TestCase("added_tokens/0/content", "7", "added token 2039 has no content")]
    [TestCase("added_tokens/0/lstrip", "1", "added token 2039 \"<|endoftext|>\": lstrip is Number, not true or false")]
    [TestCase("added_tokens/0/special", "\"yes\"", "added token 2039 \"<|endoftext|>\": special is String, not true or false")]
    [TestCase("model/vocab", "{\"a\": 0}", "the vocabulary has no token for byte 0")]
    [TestCase("model/vocab/!", "1", "id 1 is both")]
    [TestCase("model/vocab/!", "-1", "the id of token \"!\" is -1")]
    [TestCase("model/vocab/!", "2000000000", "the id of token \"!\" is 2000000000")]
    [TestCase("model/vocab/!", "\"0\"", "an id in model.vocab is String, not Number")]
    [TestCase("added_tokens/0/id", "0", "id 0 is both")]
    [TestCase("added_tokens/0/content", "\"\"", "added token 2039 has no content")]
    [TestCase("added_tokens/0/content", "\"<think>\"", "<think>")]
    public void RejectsBadFiles(string path, string? value, string message)
    {
        InvalidDataException error = Assert.Throws<InvalidDataException>(() => QwenTokenizerTests.Load(With(path, value)))!;

        Assert.That(error.Message, Does.Contain("tokenizer.json: ").And.Contains(message));
    }

    [TestCase("")]
    [TestCase("[]")]
    [TestCase("{")]
    [TestCase("{}")]
    [TestCase("{\"model\": 1}")]
    [TestCase("{\"model\": {\"vocab\": {\"\\ud800\": 0}}}")]
    public void RejectsBadJson(string text)
    {
        InvalidDataException error = Assert.Throws<InvalidDataException>(
            () => WithDirectory(QwenTokenizer.Load, ("tokenizer.json", text)))!;

        Assert.That(error.Message, Does.Contain("tokenizer.json: "));
    }

    [Test]
    public void RejectsConfigurationThatContradicts()
    {
        string config = """{"added_tokens_decoder": {"2041": {"content": "<|end|>"}}}""";

        InvalidDataException error = Assert.Throws<InvalidDataException>(
            () => QwenTokenizerTests.Load(QwenTokenizerTests.TokenizerJson(), config))!;

        Assert.That(error.Message, Does.Contain("tokenizer_config.json: added token 2041 is \"<|im_end|>\" and \"<|end|>\""));
    }

    // Other spellings of the same rules.
    [TestCase("normalizer", """{"type": "Sequence", "normalizers": [{"type": "NFC"}]}""")]
    [TestCase("normalizer", """{"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Sequence", "normalizers": [{"type": "NFC"}]}]}""")]
    [TestCase("pre_tokenizer/pretokenizers/0/invert", "true")]
    [TestCase("pre_tokenizer/pretokenizers/1/trim_offsets", "true")]
    [TestCase("decoder", """{"type": "Sequence", "decoders": [{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}]}""")]
    [TestCase("post_processor", "null")]
    [TestCase("post_processor", null)]
    [TestCase("post_processor", """{"type": "Sequence", "processors": [{"type": "ByteLevel", "trim_offsets": true}]}""")]
    [TestCase("post_processor", """{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}], "pair": [], "special_tokens": {}}""")]
    [TestCase("model/dropout", "0.0")]
    public void TakesRulesOfTheSameEffect(string path, string? value)
    {
        QwenTokenizer tokenizer = QwenTokenizerTests.Load(With(path, value));

        const string Text = "Lily's cafe\u0301 2<|im_end|>\r\n\n  x\u0338";
        Assert.That(tokenizer.Encode(Text, parseSpecial: true), Is.EqualTo(Tokenizer.Encode(Text, parseSpecial: true)));
    }

    [Test]
    public void TakesSequencesInsideSequences()
    {
        JsonNode file = QwenTokenizerTests.TokenizerJson();
        JsonNode split = file["pre_tokenizer"]!["pretokenizers"]![0]!.DeepClone();
        JsonNode bytes = file["pre_tokenizer"]!["pretokenizers"]![1]!.DeepClone();
        (split["behavior"], split["invert"]) = ("Removed", true);
        JsonObject inner = new() { ["type"] = "Sequence", ["pretokenizers"] = new JsonArray(split) };
        file["pre_tokenizer"] = new JsonObject { ["type"] = "Sequence", ["pretokenizers"] = new JsonArray(inner, bytes) };
        Assert.That(QwenTokenizerTests.Load(file).Encode("Lily's bird", false), Is.EqualTo(Tokenizer.Encode("Lily's bird", false)));

        for (int depth = 0; depth < 9; depth++)
            file["normalizer"] = new JsonObject { ["type"] = "Sequence", ["normalizers"] = new JsonArray(file["normalizer"]!.DeepClone()) };
        Assert.That(() => QwenTokenizerTests.Load(file), Throws.TypeOf<NotSupportedException>().With.Message.EndsWith("more than 8 sequences lie inside each other"));
    }

    private static JsonNode With(string path, string? value)
    {
        JsonNode root = QwenTokenizerTests.TokenizerJson();
        string[] steps = path.Split('/');
        JsonNode node = root;
        foreach (string step in steps[..^1])
            node = int.TryParse(step, out int index) ? node[index]! : node[step]!;
        if (value is null) node.AsObject().Remove(steps[^1]);
        else if (int.TryParse(steps[^1], out int last)) node[last] = JsonNode.Parse(value);
        else node[steps[^1]] = JsonNode.Parse(value);
        return root;
    }
}
