using System.CommandLine;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Cli.Commands;

/// <summary>`qwen chat`: a conversation, line by line.</summary>
internal static class ChatCommand
{
    public const string Examples =
        """
        qwen chat
        qwen chat --model ~/models/Qwen3.6-27B-GPTQ-Int4 --system "You are terse." --preset thinking
        """;

    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var noThinking = new Option<bool>("--no-thinking") { Description = "Answer at once, without thinking first." };
        var system = new Option<string?>("--system", "-s")
        {
            Description = "Instructions that stand before the conversation.",
            HelpName = "TEXT",
        };
        var model = new ModelArguments(PageType.Bf16);
        var sampling = new SamplingArguments();
        var command = new Command("chat", "Talk with the model. /exit leaves, /clear begins anew, Ctrl-C stops an answer.")
        {
            noThinking, system,
        };
        sampling.AddTo(command);
        model.AddTo(command);
        command.Options.Add(model.PrefillChunk);
        command.SetAction(async (parse, cancellation) =>
        {
            GenerationOptions options = sampling.Read(parse);
            await using QwenModel loaded = await model.LoadAsync(
                parse, common, terminal, options, rendersMessages: true, cancellation).ConfigureAwait(false);
            LogitBiasOption.Check(options.Sampling?.LogitBias, loaded);
            await using Engine engine = model.CreateEngine(parse, loaded, maxSequences: 1);
            bool json = parse.GetValue(common.Json);
            var template = new ChatTemplateOptions { EnableThinking = !parse.GetValue(noThinking) };
            var chat = new Conversation(engine, terminal, options, template, parse.GetValue(system), silent: json);
            await chat.RunAsync().ConfigureAwait(false);
            if (json)
                terminal.WriteJson(new JsonObject { ["messages"] = new JsonArray([.. chat.Messages.Select(ToJson)]) });
            return ExitCode.Done;
        });
        return command;
    }

    private static JsonObject ToJson(PromptMessage message)
    {
        var json = new JsonObject { ["role"] = message.Role, ["content"] = message.Content };
        if (message.ReasoningContent is { } reasoning)
            json["reasoning_content"] = reasoning;
        return json;
    }
}
