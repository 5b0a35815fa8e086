using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Cli;

/// <summary>Options of the commands that render messages: what the chat template is told besides them.</summary>
internal sealed class TemplateArguments
{
    private const string Thinking = "enable_thinking";

    /// <summary>The option --no-thinking.</summary>
    public Option<bool> NoThinking { get; } = new("--no-thinking") { Description = "Answer at once, without thinking first." };

    /// <summary>The option --template-option.</summary>
    public Option<KeyValuePair<string, JsonNode?>[]> Variables { get; } = new("--template-option")
    {
        Description = "Set a variable of the chat template, to JSON or else to the text itself; may be given several times: reasoning_effort=low.",
        HelpName = "NAME=VALUE",
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = false,
        CustomParser = Parse,
    };

    public void AddTo(Command command)
    {
        command.Options.Add(NoThinking);
        command.Options.Add(Variables);
    }

    /// <summary>Whether any of the options is given.</summary>
    public bool AreGiven(ParseResult parse) => parse.GetValue(NoThinking) || parse.GetValue(Variables) is { Length: > 0 };

    /// <summary>What the options say.</summary>
    public ChatTemplateOptions Read(ParseResult parse)
    {
        JsonObject? variables = ReadVariables(parse);
        bool isQuiet = parse.GetValue(NoThinking);
        return isQuiet && variables?.ContainsKey(Thinking) == true
            ? throw new UsageException($"--no-thinking and --template-option {Thinking} say the same thing; give one")
            : new ChatTemplateOptions { EnableThinking = isQuiet ? false : null, Variables = variables };
    }

    /// <summary>The variables; null for none.</summary>
    public JsonObject? ReadVariables(ParseResult parse) => parse.GetValue(Variables) is { Length: > 0 } given
        ? new JsonObject(given.Select(static pair => KeyValuePair.Create(pair.Key, pair.Value?.DeepClone()))) : null;

    private static KeyValuePair<string, JsonNode?>[]? Parse(ArgumentResult result)
    {
        var variables = new OrderedDictionary<string, JsonNode?>();
        foreach (Token token in result.Tokens)
        {
            string[] parts = token.Value.Split('=', 2);
            string name = parts[0];
            string? fault = parts.Length == 2 && name.Length > 0 && name.All(static c => char.IsAsciiLetterOrDigit(c) || c == '_') && !char.IsAsciiDigit(name[0])
                ? name is "messages" or "tools" ? $"--template-option sets {name}, which is no option" : null
                : $"--template-option is '{token.Value}'; it must be a name, =, and a value";
            if (fault is null && !variables.TryAdd(name, ValueOf(parts[1])))
                fault = $"--template-option sets {name} twice";
            if (fault is not null)
            {
                result.AddError(fault);
                return null;
            }
        }

        return [.. variables];
    }

    private static JsonNode? ValueOf(string text)
    {
        try
        {
            return JsonNode.Parse(text);
        }
        catch (JsonException)
        {
            return JsonValue.Create(text);
        }
    }
}
