namespace QwenIlgpu.Cli;

/// <summary>The hint that control tokens which a text spells out count as plain text, unless asked for.</summary>
internal static class ControlTokenHint
{
    /// <summary>For a text that is about to be tokenized without --parse-special.</summary>
    public static void ForText(QwenTokenizer tokenizer, string text, string what, Terminal terminal)
    {
        if (tokenizer.FindControlToken(text) is { } token)
            terminal.Note($"{what} holds control tokens such as {token}, which count as plain text; --parse-special makes them their ids");
    }

    /// <summary>For ids that were made of such a text. A tokenizer at fault gives no hint, as nothing else needs it.</summary>
    public static void ForIds(string modelDirectory, int[][] prompts, Terminal terminal)
    {
        QwenTokenizer tokenizer;
        try
        {
            tokenizer = QwenTokenizer.Load(modelDirectory);
        }
        catch (Exception e) when (CheckpointFile.IsFault(e))
        {
            return;
        }

        for (int i = 0; i < prompts.Length; i++)
        {
            if (SpelledOut(tokenizer, prompts[i]) is not { } token)
                continue;
            terminal.Note($"--input: item {i} spells control tokens such as {token} in plain text; `qwen tokenize --parse-special` gives their ids");
            return;
        }
    }

    private static string? SpelledOut(QwenTokenizer tokenizer, int[] ids)
    {
        int start = 0;
        for (int end = 0; end <= ids.Length; end++)
        {
            if (end < ids.Length && !tokenizer.IsControl(ids[end]))
                continue;
            if (tokenizer.FindControlToken(tokenizer.Decode(ids.AsSpan(start, end - start))) is { } token)
                return token;
            start = end + 1;
        }

        return null;
    }
}
