using System.Text.Json;

namespace QwenIlgpu;

/// <summary>
/// The rules a tokenizer.json may name: those of Qwen3.6 and of Qwen2, in any spelling that has the same effect. Any other would give
/// wrong ids in silence, so it is refused.
/// </summary>
internal static class TokenizerRules
{
    private const int MaxDepth = 8;

    /// <summary>The normaliser is NFC, once or again.</summary>
    public static void CheckNormalizer(JsonElement normalizer)
    {
        List<JsonElement> steps = Steps("normalizer", normalizer, "normalizers");
        if (steps.Count == 0)
            Require("normalizer", "an empty Sequence", "NFC");
        foreach (JsonElement step in steps)
            Require("normalizer", TypeOf(step), "NFC");
    }

    /// <summary>One of Qwen's patterns, each match a piece of its own, then bytes. Offsets may be trimmed: nobody asks for them.</summary>
    public static QwenPattern ReadPreTokenizer(JsonElement preTokenizer)
    {
        List<JsonElement> steps = Steps("pre_tokenizer", preTokenizer, "pretokenizers");
        string types = string.Join(" + ", steps.Select(TypeOf));
        if (steps is not [{ } split, { } bytes] || types != "Split + ByteLevel")
            throw new NotSupportedException($"pre_tokenizer is \"{JsonText.Shown(types)}\", supported is \"Split + ByteLevel\"");
        string regex = split.TryGetProperty("pattern", out JsonElement value) ? Text(value, "Regex") : "none";
        QwenPattern? pattern = Array.Find([QwenPattern.Qwen35, QwenPattern.Qwen2], known => known.Source == regex);
        if (pattern is null)
        {
            throw new NotSupportedException(
                $"pre_tokenizer pattern is \"{JsonText.Shown(regex)}\", supported is \"{QwenPattern.Qwen35.Source}\" or \"{QwenPattern.Qwen2.Source}\"");
        }

        // The patterns match every character, so that what is left when all but the matches is removed are the matches.
        string behavior = Text(split, "behavior");
        if (!(behavior == "Removed" && IsTrue(split, "invert")))
            Require("pre_tokenizer behavior", behavior, "Isolated");
        if (IsTrue(bytes, "add_prefix_space"))
            throw new NotSupportedException("pre_tokenizer: add_prefix_space is true, supported is false");
        if (!bytes.TryGetProperty("use_regex", out JsonElement useRegex) || useRegex.ValueKind != JsonValueKind.False)
            throw new NotSupportedException("pre_tokenizer: use_regex is not false, supported is false");
        return pattern;
    }

    /// <summary>The decoder makes text of bytes again.</summary>
    public static void CheckDecoder(JsonElement decoder) =>
        Require("decoder", string.Join(" + ", Steps("decoder", decoder, "decoders").Select(TypeOf)), "ByteLevel");

    /// <summary>Nothing is put before or after.</summary>
    public static void CheckPostProcessor(JsonElement postProcessor)
    {
        if (postProcessor.ValueKind == JsonValueKind.Null) return;
        foreach (JsonElement step in Steps("post_processor", postProcessor, "processors"))
        {
            if (!IsBareTemplate(step))
                Require("post_processor", TypeOf(step), "ByteLevel");
        }
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
            case "dropout" when value.ValueKind == JsonValueKind.Number && value.GetRawText() is not ("0" or "0.0"):
                Require("model.dropout", value.GetRawText(), "null");
                break;
            case "ignore_merges" or "byte_fallback" when value.ValueKind == JsonValueKind.True:
                Require($"model.{name}", "true", "false");
                break;
        }
    }

    // {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", …}}], …}: a text by itself stays as it is.
    private static bool IsBareTemplate(JsonElement step) =>
        TypeOf(step) == "TemplateProcessing" && step.TryGetProperty("single", out JsonElement single)
        && single.ValueKind == JsonValueKind.Array && single.GetArrayLength() == 1
        && single[0] is { ValueKind: JsonValueKind.Object } piece && piece.TryGetProperty("Sequence", out JsonElement sequence)
        && sequence.ValueKind == JsonValueKind.Object && Text(sequence, "id") == "A";

    // The steps of a rule, those of sequences inside sequences one after the other.
    private static List<JsonElement> Steps(string rule, JsonElement element, string listKey, int depth = 0)
    {
        if (TypeOf(element) != "Sequence")
            return [element];
        if (!element.TryGetProperty(listKey, out JsonElement list) || list.ValueKind != JsonValueKind.Array)
            throw new InvalidDataException($"{rule}: {listKey} is not an array");
        if (depth == MaxDepth)
            throw new NotSupportedException($"{rule}: more than {MaxDepth} sequences lie inside each other");
        return [.. list.EnumerateArray().SelectMany(step => Steps(rule, step, listKey, depth + 1))];
    }

    private static bool IsTrue(JsonElement rule, string flag) => rule.TryGetProperty(flag, out JsonElement value) && value.ValueKind == JsonValueKind.True;

    private static void Require(string what, string value, string supported)
    {
        if (value != supported) throw new NotSupportedException($"{what} is \"{JsonText.Shown(value)}\", supported is \"{supported}\"");
    }

    private static string TypeOf(JsonElement rule) => Text(rule, "type");

    private static string Text(JsonElement value, string property)
    {
        if (value.ValueKind == JsonValueKind.Null) return "null";
        if (value.ValueKind != JsonValueKind.Object) throw new InvalidDataException($"an object with \"{property}\" is {value.ValueKind}");
        return value.TryGetProperty(property, out JsonElement text) ? text.ToString() : "none";
    }
}
