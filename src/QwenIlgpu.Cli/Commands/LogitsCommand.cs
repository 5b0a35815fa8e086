using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using QwenIlgpu.Kernels;
using static System.FormattableString;

namespace QwenIlgpu.Cli.Commands;

/// <summary>`qwen logits`: logits of given token ids at every position, for comparison with other engines.</summary>
internal static class LogitsCommand
{
    public const string Examples =
        """
        echo '[{"ids": [1, 2, 3]}]' | qwen logits --input - --output logits.safetensors
        qwen logits --model DIR --device cuda --kv-type bf16 --input ids.json --output logits.safetensors
        """;

    public static Command Create(CommonOptions common, Terminal terminal)
    {
        Option<string?> input = JsonInput.Create("{\"ids\": […]}");
        input.Required = true;
        var output = new Option<string>("--output")
        {
            Description = "File to write: F32 tensors 0.logits, 1.logits … [tokens, vocabulary].",
            HelpName = "OUT.safetensors",
            Required = true,
        };
        var model = new ModelArguments(KvType.F32);
        var command = new Command("logits", "Write the logits of token ids at every position to a safetensors file.") { input, output };
        model.AddTo(command);
        command.SetAction(async (parse, cancellation) =>
        {
            string source = parse.GetRequiredValue(input)!;
            string file = parse.GetRequiredValue(output);
            int[][] prompts = Prompts(await JsonInput.ReadAsync(source, terminal, cancellation).ConfigureAwait(false));
            string directory = ModelDirectory.Resolve(parse, common, terminal);
            ProtectedInputs.Refuse("--output", file, directory, ("--input", source));

            // Before the model is loaded, so that a file that cannot be written costs nothing.
            using var writer = new SafetensorsWriter(file, await OutputFile.CreateAsync(file, cancellation).ConfigureAwait(false));
            await using QwenModel loaded = await model.LoadAsync(parse, common, terminal, ModelParts.None, cancellation).ConfigureAwait(false);
            Check(prompts, loaded.Config, parse.GetValue(model.Context));
            ControlTokenHint.ForIds(directory, prompts, terminal);
            new LogitsFile(loaded, model.KvTypeOf(parse), model.StateTypeOf(parse)).Write(writer, prompts, cancellation);
            if (parse.GetValue(common.Json))
                terminal.WriteJson(Report(file, prompts, loaded.Config.VocabSize));
            else
                terminal.Note(Invariant($"wrote the logits of {prompts.Sum(p => p.Length)} positions to {file}"));
            return ExitCode.Done;
        });
        return command;
    }

    private static int[][] Prompts(JsonElement[] items) => [.. items.Select(Ids)];

    private static int[] Ids(JsonElement item, int index)
    {
        bool isObject = item.ValueKind == JsonValueKind.Object;
        if (!isObject || !item.TryGetProperty("ids", out JsonElement ids) || ids.ValueKind != JsonValueKind.Array)
            throw new InvalidDataException($"--input: item {index} must be an object with an array \"ids\"");
        return [.. ids.EnumerateArray().Select((id, i) => id.ValueKind == JsonValueKind.Number && id.TryGetInt32(out int value)
            ? value
            : throw new InvalidDataException($"--input: item {index}: id {i} is {id.GetRawText()}; it must be a whole number"))];
    }

    private static void Check(int[][] prompts, QwenConfig config, int context)
    {
        int most = context == 0 ? config.MaxPositionEmbeddings : context;
        for (int p = 0; p < prompts.Length; p++)
        {
            if (prompts[p].Length == 0)
                throw new InvalidDataException($"--input: item {p}: \"ids\" is empty; it must hold at least one token id");
            if (prompts[p].Length > most)
                throw new InvalidDataException($"--input: item {p} has {prompts[p].Length} ids, the context {most}");
            int bad = Array.FindIndex(prompts[p], id => (uint)id >= (uint)config.VocabSize);
            if (bad >= 0)
                throw new InvalidDataException($"--input: item {p}: id {bad} is {prompts[p][bad]}; ids are 0 to {config.VocabSize - 1}");
        }
    }

    private static JsonObject Report(string file, int[][] prompts, int vocabSize) => new()
    {
        ["output"] = file,
        ["tensors"] = new JsonArray([.. prompts.Select((p, i) => new JsonObject
        {
            ["name"] = LogitsFile.NameOf(i),
            ["shape"] = new JsonArray(p.Length, vocabSize),
        })]),
    };
}
