using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Cli.Commands;

/// <summary>`qwen tokenize`: ids of texts, for comparison with other tokenizers.</summary>
internal static class TokenizeCommand
{
    public const string Examples =
        """
        qwen tokenize "Hello, world!"
        qwen tokenize "<|im_start|>user" --parse-special
        echo '["Hello!", "Bye!"]' | qwen tokenize --input -
        qwen tokenize --input texts.json --parse-special > ids.json
        """;

    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var text = new Argument<string?>("TEXT")
        {
            Description = "The text, in quotes. Without it, and for -, standard input is read.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Option<string?> input = JsonInput.Create("strings");
        var special = new Option<bool>("--parse-special")
        {
            Description = "Control tokens written in the texts, such as <|im_end|>, become their ids.",
        };
        var command = new Command("tokenize", "Print ids and decoding of texts as JSON: [{\"ids\": […], \"decoded\": \"…\"}].")
        {
            text, input, special,
        };
        command.SetAction(async (parse, cancellation) =>
        {
            string directory = ModelDirectory.Resolve(parse, common, terminal);
            JsonElement[] items = await JsonInput.ReadAsync(
                parse.GetValue(input), parse.GetValue(text), t => JsonSerializer.SerializeToElement(t), terminal, cancellation).ConfigureAwait(false);
            string[] texts = [.. items.Select(TextAt)];
            QwenTokenizer tokenizer = QwenTokenizer.Load(directory);
            bool parseSpecial = parse.GetValue(special);
            if (!parseSpecial && Array.Find(texts, t => tokenizer.FindControlToken(t) is not null) is { } holding)
                ControlTokenHint.ForText(tokenizer, holding, "the text", terminal);
            terminal.WriteJson(new JsonArray([.. texts.Select(t => Tokenized(tokenizer, t, parseSpecial))]));
            return ExitCode.Done;
        });
        return command;
    }

    private static string TextAt(JsonElement item, int index) => item.ValueKind == JsonValueKind.String
        ? PythonJson.GetString(item)
        : throw new InvalidDataException($"--input: item {index} is a JSON {item.ValueKind}; every item must be a string");

    private static JsonObject Tokenized(QwenTokenizer tokenizer, string text, bool parseSpecial)
    {
        int[] ids = tokenizer.Encode(text, parseSpecial);
        return new JsonObject { ["ids"] = ids.ToJson(), ["decoded"] = tokenizer.Decode(ids) };
    }
}
