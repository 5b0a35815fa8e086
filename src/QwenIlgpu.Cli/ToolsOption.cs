using System.CommandLine;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Cli;

/// <summary>The option --tools: functions that the model may call, and how its calls are shown.</summary>
internal static class ToolsOption
{
    private const string Name = "--tools";

    public static Option<string?> Create() => new(Name)
    {
        Description = "File with functions that the model may call, a JSON array as OpenAI has it: [{\"type\": \"function\", \"function\": {…}}]; "
            + "- reads standard input. The calls of the answer are printed behind it, or as tool_calls of the JSON.",
        HelpName = "FILE",
        Arity = ArgumentArity.ExactlyOne,
    };

    /// <summary>The functions of the file, each with a name; null where none is given.</summary>
    public static async Task<JsonArray?> ReadAsync(string? file, Terminal terminal, CancellationToken cancellation)
    {
        if (file is null)
            return null;
        string source = TextInput.NameOf(file);
        JsonElement root = JsonText.Parse(source, await TextInput.ReadAsync(file, Name, terminal, cancellation).ConfigureAwait(false));
        JsonText.RequireWholeStrings(source, Encoding.UTF8.GetBytes(root.GetRawText()));
        if (ToolSchemas.NodeOf(root) is not JsonArray tools)
            throw new InvalidDataException($"{source}: holds a JSON {root.ValueKind}, an array of functions is expected");
        if (tools.Count == 0)
            throw new InvalidDataException($"{source}: holds no function; leave {Name} away for none");
        int unnamed = root.EnumerateArray().TakeWhile(static tool => IsNamed(tool)).Count();
        return unnamed == tools.Count ? tools : throw new InvalidDataException(
            $"{source}: item {unnamed} is no function: it must be {{\"type\": \"function\", \"function\": {{\"name\": …, \"parameters\": …}}}}");
    }

    /// <summary>Refuses tools that a template leaves out, and tells of calls that will not be found.</summary>
    public static void Check(ChatTemplate template, Terminal terminal)
    {
        if (template.Shape.ToolCalls == ToolCallDialect.None)
            throw new ArgumentException($"{Name}: the chat template {template.Name} tells the model of no tools; --chat-template chooses another");
        if (!template.Shape.HasReadableCalls)
            terminal.Note($"{Name}: the chat template {template.Name} writes calls in a way that is not read here: they stay in the text");
    }

    /// <summary>A call on one line, for people.</summary>
    public static string ToLine(this PromptToolCall call) => $"{call.Name}({JsonOutput.LineOf(call.Arguments)})";

    /// <summary>A call as an object.</summary>
    public static JsonObject ToFlatJson(this PromptToolCall call) => new()
    {
        ["id"] = call.Id,
        ["name"] = call.Name,
        ["arguments"] = call.Arguments.DeepClone(),
    };

    private static bool IsNamed(JsonElement tool) =>
        tool.ValueKind == JsonValueKind.Object && tool.TryGetProperty("function", out JsonElement function)
        && function.ValueKind == JsonValueKind.Object && function.TryGetProperty("name", out JsonElement name)
        && name.ValueKind == JsonValueKind.String && name.GetString()!.Length > 0;
}
