using System.Collections.Frozen;
using System.Text.Json;

namespace QwenIlgpu;

/// <summary>
/// The ids that end a turn: the union of what <c>config.json</c>, <c>generation_config.json</c>, <c>tokenizer_config.json</c> and the chat
/// template name, because each of them is left out or cut short in some checkpoints.
/// </summary>
internal static class StopSet
{
    private const string Key = "eos_token_id";

    /// <summary>
    /// Gathers the set of a checkpoint directory, with the first token that its template writes behind an answer. An id outside the
    /// vocabulary is refused.
    /// </summary>
    public static FrozenSet<int> Read(
        string directory, int vocabSize, GenerationConfig? generation, QwenTokenizer tokenizer, ChatTemplate? template, Action<string> notice)
    {
        HashSet<int> ids = [];
        JsonSection config = JsonSection.Load(Path.Combine(directory, "config.json"));
        JsonSection[] sections = [.. ((JsonSection?[])[config, config.Section("text_config"), generation?.Json]).OfType<JsonSection>()];
        foreach (JsonSection section in sections)
        {
            foreach (int id in section.IntOrInts(Key, 0, vocabSize - 1))
            {
                if (tokenizer.HasToken(id))
                    ids.Add(id);
                else
                    notice($"{section.File}: {section.FullKey(Key)} names {id}, which no token of tokenizer.json has; nothing can end with it");
            }
        }

        NoticeUnused("bos_token_id", sections, notice);
        NoticeUnused("pad_token_id", sections, notice);
        if (OfTokenizer(directory, tokenizer) is { } eos)
            ids.Add(eos);
        if (template?.Shape.EndOfTurn is { } turnEnd && tokenizer.FindControlToken(turnEnd) is { } token)
            ids.Add(tokenizer.FindToken(token)!.Value);
        return ids.ToFrozenSet();
    }

    private static void NoticeUnused(string key, JsonSection[] sections, Action<string> notice)
    {
        JsonSection[] given = [.. sections.Where(section => section.Has(key))];
        if (given.FirstOrDefault(other => !JsonElement.DeepEquals(other.Value(key)!.Value, given[0].Value(key)!.Value)) is { } differing)
            notice($"{differing.File}: {differing.FullKey(key)} differs from {given[0].FullKey(key)} of {Path.GetFileName(given[0].File)}; neither is used");
    }

    // eos_token is the token's text, or an object that holds it.
    private static int? OfTokenizer(string directory, QwenTokenizer tokenizer)
    {
        const string Token = "eos_token";
        string file = Path.Combine(directory, "tokenizer_config.json");
        if (!CheckpointFile.Exists(file))
            return null;
        JsonSection json = JsonSection.Load(file);
        bool isObject = json.Value(Token) is { ValueKind: JsonValueKind.Object };
        string? text = isObject ? json.Section(Token)!.Text("content") ?? throw json.Invalid(Token, "a token's text") : json.Text(Token);
        if (string.IsNullOrEmpty(text))
            return null;
        return tokenizer.Encode(text, parseSpecial: true) is [var id]
            ? id
            : throw new InvalidDataException($"{file}: {Token} is \"{JsonText.Shown(text)}\", which is no token of tokenizer.json");
    }
}
