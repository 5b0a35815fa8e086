using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Cli.Commands;

/// <summary>`qwen render`: conversations through the chat template, for comparison with other renderers.</summary>
internal static class RenderCommand
{
    public const string Examples =
        """
        qwen render "What is the capital of Norway?"
        qwen render --input conversations.json > prompts.json
        """;

    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var text = new Argument<string?>("TEXT")
        {
            Description = "What a user says, in quotes: rendered as generate does. Without it, and for -, standard input is read.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Option<string?> input = JsonInput.Create("{\"messages\": […], \"options\": {…}}");
        var model = new ModelArguments(KvType.Bf16);
        var template = new TemplateArguments();
        var command = new Command(
            "render", "Print conversations as the chat template renders them: [{\"rendered\": \"…\"} or {\"error\": \"…\"}].")
        {
            text, input, model.ChatTemplate, template.Variables,
        };
        command.SetAction(async (parse, cancellation) =>
        {
            string directory = ModelDirectory.Resolve(parse, common, terminal);
            JsonElement[] items = await JsonInput.ReadAsync(parse.GetValue(input), parse.GetValue(text), Spoken, terminal, cancellation).ConfigureAwait(false);
            ChatTemplate renderer = ChatTemplate.Load(directory, model.TemplateName(parse, directory));
            if (renderer.Notice is { } notice)
                terminal.Note($"{directory}: {notice}");
            JsonObject? variables = template.ReadVariables(parse);
            terminal.WriteJson(new JsonArray([.. items.Select((item, i) => Rendered(renderer, item, variables, i))]));
            return ExitCode.Done;
        });
        return command;
    }

    private static JsonElement Spoken(string text) => JsonSerializer.SerializeToElement(new
    {
        messages = new[] { new { role = "user", content = text.TrimEnd('\r', '\n') } },
        options = new { add_generation_prompt = true },
    });

    private static JsonObject Rendered(ChatTemplate renderer, JsonElement item, JsonObject? variables, int index)
    {
        if (item.ValueKind != JsonValueKind.Object || !item.TryGetProperty("messages", out JsonElement messages))
            throw new InvalidDataException($"--input: item {index} must be an object with \"messages\"");
        if (!item.TryGetProperty("options", out JsonElement options))
            options = JsonElement.Parse("{}");
        if (options.ValueKind != JsonValueKind.Object)
            throw new InvalidDataException($"--input: item {index}: \"options\" is a JSON {options.ValueKind}, an object is expected");
        if (variables is not null)
            options = With(options, variables);
        try
        {
            return new JsonObject { ["rendered"] = renderer.Render(messages, options).Text };
        }
        catch (ArgumentException e)
        {
            return new JsonObject { ["error"] = ErrorText.Of(e) };
        }
    }

    // What an item says itself counts.
    private static JsonElement With(JsonElement options, JsonObject variables)
    {
        JsonObject all = variables.DeepClone().AsObject();
        foreach (JsonProperty option in options.EnumerateObject())
            all[option.Name] = JsonSerializer.SerializeToNode(option.Value);
        return JsonSerializer.SerializeToElement(all);
    }
}
