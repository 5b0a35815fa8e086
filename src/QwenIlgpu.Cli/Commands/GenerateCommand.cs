using System.CommandLine;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Cli.Commands;

/// <summary>`qwen generate`: one prompt, one answer.</summary>
internal static class GenerateCommand
{
    public const string Examples =
        """
        qwen generate "What is the capital of Norway?"
        qwen generate --model ~/models/Qwen3.6-27B-GPTQ-Int4 --preset coding "Reverse a string in C#."
        qwen generate --no-thinking --greedy --max-tokens 64 --json "What is 7 + 5?"
        qwen generate --model Qwen/Qwen3.8-27B --template-option reasoning_effort=low "Reverse a string in C#."
        qwen generate --tools tools.json "What is the weather in Oslo?"
        qwen generate --raw --ignore-eos --max-tokens 100 "Once upon a time"
        echo "Summarise this: ..." | qwen generate
        """;

    // One prompt has nobody to go on from it.
    private const int DeviceSnapshots = 1;

    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var prompt = new Argument<string?>("PROMPT")
        {
            Description = "What to say to the model, in quotes; a text that begins with - goes behind --. Without it, and for -, standard input is read.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var raw = new Option<bool>("--raw")
        {
            Description = "Continue the text as it is, without the chat template; control tokens in it count as such.",
        };
        var system = new Option<string?>("--system", "-s") { Description = "Instructions that stand before the prompt.", HelpName = "TEXT" };
        Option<string?> tools = ToolsOption.Create();
        var template = new TemplateArguments();
        var model = new ModelArguments(KvType.Bf16);
        var sampling = new SamplingArguments();
        var command = new Command("generate", "Print the model's answer to one prompt.") { prompt, raw, system, tools };
        template.AddTo(command);
        sampling.AddTo(command);
        command.Options.Add(sampling.TopLogProbs);
        model.AddTo(command);
        command.Options.Add(model.PrefillChunk);
        command.Options.Add(model.PrefixCache);
        command.SetAction((parse, cancellation) => RunAsync(parse, cancellation));
        return command;

        async Task<int> RunAsync(ParseResult parse, CancellationToken cancellation)
        {
            if (parse.GetValue(raw) && (template.AreGiven(parse) || (parse.GetValue(system) ?? parse.GetValue(tools)) is not null))
            {
                throw new UsageException(
                    "--raw leaves the chat template out, so --no-thinking, --template-option, --system and --tools mean nothing with it");
            }

            if (parse.GetValue(tools) == "-" && parse.GetValue(prompt) is null or "-")
                throw new UsageException("PROMPT and --tools cannot both come from standard input");
            ChatTemplateOptions rendering = template.Read(parse);
            if (parse.GetResult(sampling.TopLogProbs) is not null && !parse.GetValue(common.Json))
                throw new UsageException("--top-logprobs has its place in the JSON: add --json");
            string text = await ReadPromptAsync(parse.GetValue(prompt), parse.GetValue(raw), terminal, cancellation).ConfigureAwait(false);
            rendering = rendering with { Tools = await ToolsOption.ReadAsync(parse.GetValue(tools), terminal, cancellation).ConfigureAwait(false) };
            GenerationOptions options = sampling.Read(parse);
            await using QwenModel loaded = await model.LoadAsync(
                parse, common, terminal, options, rendersMessages: !parse.GetValue(raw), cancellation, DeviceSnapshots).ConfigureAwait(false);
            LogitBiasOption.Check(options.Sampling?.LogitBias, loaded);
            if (rendering.Tools is not null)
                ToolsOption.Check(loaded.Template, terminal);
            await using Engine engine = model.CreateEngine(parse, loaded, DeviceSnapshots);
            int[] ids = parse.GetValue(raw)
                ? loaded.Tokenize(text, parseSpecial: true)
                : loaded.IdsOf(Messages(text, parse.GetValue(system)), rendering);
            if (ids.Length > engine.ContextTokens)
            {
                throw new ArgumentException(
                    $"the prompt has {ids.Length} tokens, the context {engine.ContextTokens}; "
                    + $"shorten it or raise --context (this model: at most {loaded.MaxContextTokens})");
            }

            bool json = parse.GetValue(common.Json);
            var answer = new AnswerWriter(terminal, silent: json);
            using var line = new ProgressLine(terminal);
            options = options with { PromptProgress = new PromptLine(line), Tools = loaded.ToolsOf(rendering) };
            await answer.ReadAsync(engine.GenerateAsync(ids, options, cancellation)).ConfigureAwait(false);
            if (json)
                terminal.WriteJson(ToJson(answer, loaded, rendering.Tools is not null));
            terminal.Note(answer.Usage!.ToLine(answer.FinishReason));
            return ExitCode.Done;
        }
    }

    private static async Task<string> ReadPromptAsync(string? prompt, bool raw, Terminal terminal, CancellationToken cancellation)
    {
        string text = await TextInput.ReadArgumentAsync(prompt, "PROMPT", terminal, cancellation).ConfigureAwait(false);

        // The line feed that ends a piped text is the pipe's; to a raw text it may matter.
        if (prompt is null or "-" && !raw)
            text = text.TrimEnd('\r', '\n');
        return text.Length > 0 ? text : throw new UsageException("the prompt is empty");
    }

    private static PromptMessage[] Messages(string text, string? system) =>
        system is null ? [PromptMessage.User(text)] : [PromptMessage.System(system), PromptMessage.User(text)];

    private static JsonObject ToJson(AnswerWriter answer, QwenModel model, bool hasTools)
    {
        JsonObject json = answer.ToJson();
        if (hasTools)
            json["tool_calls"] = new JsonArray([.. answer.ToolCalls.Select(static call => call.ToFlatJson())]);
        if (answer.LogProbs.Count > 0)
            json["logprobs"] = new JsonArray([.. answer.LogProbs.Select(p => ToJson(p, model))]);
        return json;
    }

    private static JsonObject ToJson(TokenLogProbs token, QwenModel model)
    {
        JsonObject json = ToJson(token.TokenId, token.LogProbability, model);
        json["top"] = new JsonArray([.. token.Top.Select(t => ToJson(t.TokenId, t.LogProbability, model))]);
        return json;
    }

    private static JsonObject ToJson(int id, float logProbability, QwenModel model) => new()
    {
        ["id"] = id,
        ["token"] = model.Detokenize([id]),
        ["logprob"] = float.IsFinite(logProbability) ? JsonValue.Create(logProbability) : null,
    };
}
