using System.Text.Json.Nodes;

namespace QwenIlgpu.Tests;

/// <summary>A tokenizer of the bytes, some merges and two control tokens: as much as every rule of the file needs.</summary>
internal static class SmallTokenizer
{
    public const int ImEnd = 290;
    public const int EndOfText = 291;

    /// <summary>Reads "the", with every rule that a token may have.</summary>
    public const int Search = 294;

    /// <summary>tokenizer.json and tokenizer_config.json of a vocabulary that ends below <paramref name="vocabulary"/>.</summary>
    public static void Write(TemporaryDirectory directory, int vocabulary, JsonObject? config = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(vocabulary, EndOfText);
        File.WriteAllText(directory.File("tokenizer.json"), Json().ToJsonString());
        File.WriteAllText(directory.File("tokenizer_config.json"), (config ?? new JsonObject { ["eos_token"] = "<|im_end|>" }).ToJsonString());
    }

    public static JsonObject Json()
    {
        JsonObject file = QwenTokenizerTests.TokenizerJson().AsObject();
        JsonObject model = file["model"]!.AsObject();
        JsonObject vocabulary = [];
        foreach ((string token, JsonNode? id) in model["vocab"]!.AsObject())
        {
            if (token.Length == 1)
                vocabulary[token] = vocabulary.Count;
        }

        JsonArray merges = [];
        foreach (JsonNode? merge in model["merges"]!.AsArray())
        {
            (string left, string right) = ((string)merge![0]!, (string)merge[1]!);
            if (merges.Count < 20 && vocabulary.ContainsKey(left) && vocabulary.ContainsKey(right) && vocabulary.TryAdd(left + right, vocabulary.Count))
                merges.Add(new JsonArray(left, right));
        }

        model["vocab"] = vocabulary;
        model["merges"] = merges;
        file["added_tokens"] = new JsonArray(Added(ImEnd, "<|im_end|>"), Added(EndOfText, "<|endoftext|>"), new JsonObject
        {
            ["id"] = Search, ["content"] = "the", ["single_word"] = true, ["lstrip"] = true, ["rstrip"] = true, ["normalized"] = true, ["special"] = false,
        });
        return file;
    }

    private static JsonObject Added(int id, string content) => new() { ["id"] = id, ["content"] = content, ["special"] = true };
}
