using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Cli.Commands;

/// <summary>`qwen render`: conversations through the chat template, for comparison with other renderers.</summary>
internal static class RenderCommand
{
    public const string Examples =
        """
        echo '[{"messages": [{"role": "user", "content": "Hi"}], "options": {"add_generation_prompt": true}}]' | qwen render --input -
        qwen render --input conversations.json > prompts.json
        """;

    public static Command Create(CommonOptions common, Terminal terminal)
    {
        Option<string> input = JsonInput.Create("{\"messages\": […], \"options\": {…}}");
        var template = new ModelArguments(PageType.Bf16);
        var command = new Command(
            "render", "Print conversations as the chat template renders them: [{\"rendered\": \"…\"} or {\"error\": \"…\"}].")
        {
            input, template.ChatTemplate,
        };
        command.SetAction(async (parse, cancellation) =>
        {
            string directory = ModelDirectory.Resolve(parse, common, terminal);
            JsonElement[] items = await JsonInput.ReadAsync(parse.GetRequiredValue(input), terminal, cancellation).ConfigureAwait(false);
            ChatTemplate renderer = ChatTemplate.Load(directory, template.TemplateName(parse));
            terminal.WriteJson(new JsonArray([.. items.Select((item, i) => Rendered(renderer, item, i))]));
            return ExitCode.Done;
        });
        return command;
    }

    private static JsonObject Rendered(ChatTemplate renderer, JsonElement item, int index)
    {
        if (item.ValueKind != JsonValueKind.Object || !item.TryGetProperty("messages", out JsonElement messages))
            throw new InvalidDataException($"--input: item {index} must be an object with \"messages\"");
        if (!item.TryGetProperty("options", out JsonElement options))
            options = JsonElement.Parse("{}");
        if (options.ValueKind != JsonValueKind.Object)
            throw new InvalidDataException($"--input: item {index}: \"options\" is a JSON {options.ValueKind}, an object is expected");
        try
        {
            return new JsonObject { ["rendered"] = renderer.Render(messages, options).Text };
        }
        catch (ArgumentException e)
        {
            return new JsonObject { ["error"] = ErrorText.Of(e) };
        }
    }
}
