using System.Text.Json;

namespace QwenIlgpu;

/// <summary>The rules a tokenizer.json may name: those of Qwen3.6. Any other would give wrong ids in silence, so it is refused.</summary>
internal static class TokenizerRules
{
    /// <summary>The normaliser is NFC.</summary>
    public static void CheckNormalizer(JsonElement normalizer) => Require("normalizer", Text(normalizer, "type"), "NFC");

    /// <summary>Qwen's pattern, each match a piece of its own, then bytes.</summary>
    public static void CheckPreTokenizer(JsonElement preTokenizer)
    {
        Require("pre_tokenizer", Text(preTokenizer, "type"), "Sequence");
        if (!preTokenizer.TryGetProperty("pretokenizers", out JsonElement list) || list.ValueKind != JsonValueKind.Array)
            throw new InvalidDataException("pre_tokenizer: pretokenizers is not an array");
        string types = string.Join(" + ", list.EnumerateArray().Select(step => Text(step, "type")));
        Require("pre_tokenizer", types, "Split + ByteLevel");

        JsonElement split = list[0];
        string pattern = split.TryGetProperty("pattern", out JsonElement value) ? Text(value, "Regex") : "none";
        Require("pre_tokenizer pattern", pattern, QwenPattern.Source);
        Require("pre_tokenizer behavior", Text(split, "behavior"), "Isolated");
        RequireNot("pre_tokenizer", split, "invert");
        RequireNot("pre_tokenizer", list[1], "add_prefix_space");
        if (!list[1].TryGetProperty("use_regex", out JsonElement useRegex) || useRegex.ValueKind != JsonValueKind.False)
            throw new NotSupportedException("pre_tokenizer: use_regex is not false, supported is false");
    }

    /// <summary>Decoder and post-processor: bytes back to text, nothing put before or after.</summary>
    public static void CheckByteLevel(string name, JsonElement rule)
    {
        if (rule.ValueKind == JsonValueKind.Null && name == "post_processor") return;
        Require(name, Text(rule, "type"), "ByteLevel");
    }

    /// <summary>One property of the model other than its vocabulary and merges.</summary>
    public static void CheckModel(string name, JsonElement value)
    {
        switch (name)
        {
            case "type":
                Require("model type", value.ToString(), "BPE");
                break;
            case "continuing_subword_prefix" or "end_of_word_suffix" or "unk_token" when value.ValueKind == JsonValueKind.String:
                Require($"model.{name}", value.GetString()!, "");
                break;
            case "dropout" when value.ValueKind == JsonValueKind.Number:
                Require("model.dropout", value.GetRawText(), "null");
                break;
            case "ignore_merges" or "byte_fallback" when value.ValueKind == JsonValueKind.True:
                Require($"model.{name}", "true", "false");
                break;
        }
    }

    private static void RequireNot(string what, JsonElement rule, string flag)
    {
        if (rule.TryGetProperty(flag, out JsonElement value) && value.ValueKind == JsonValueKind.True)
            throw new NotSupportedException($"{what}: {flag} is true, supported is false");
    }

    private static void Require(string what, string value, string supported)
    {
        if (value != supported) throw new NotSupportedException($"{what} is \"{value}\", supported is \"{supported}\"");
    }

    private static string Text(JsonElement value, string property)
    {
        if (value.ValueKind == JsonValueKind.Null) return "null";
        if (value.ValueKind != JsonValueKind.Object) throw new InvalidDataException($"an object with \"{property}\" is {value.ValueKind}");
        return value.TryGetProperty(property, out JsonElement text) ? text.ToString() : "none";
    }
}
