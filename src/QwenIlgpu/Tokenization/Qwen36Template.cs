using System.Text.Json;

namespace QwenIlgpu;

/// <summary>
/// The chat template of Qwen3.6: exactly what its Jinja source yields in Hugging Face's settings, in the order of that source. Input
/// on which the source raises an exception, or fails, is an ArgumentException here.
/// </summary>
internal sealed class Qwen36Template
{
    private const string ToolRules =
        "\n\nIf you choose to call a function ONLY reply in the following format with NO suffix:\n\n"
        + "<tool_call>\n<function=example_function_name>\n<parameter=example_parameter_1>\nvalue_1\n</parameter>\n"
        + "<parameter=example_parameter_2>\nThis is the value for the second parameter\nthat can span\nmultiple lines\n</parameter>\n"
        + "</function>\n</tool_call>\n\n<IMPORTANT>\nReminder:\n"
        + "- Function calls MUST follow the specified format: an inner <function=...></function> block must be nested within "
        + "<tool_call></tool_call> XML tags\n"
        + "- Required parameters MUST be specified\n"
        + "- You may provide optional reasoning for your function call in natural language BEFORE the function call, but NOT after\n"
        + "- If there is no function call available, answer the question like normal with your current knowledge and do not tell the "
        + "user about function calls\n</IMPORTANT>";

    private readonly JsonElement[] messages;
    private readonly JsonElement options;
    private readonly MessageContent content;
    private readonly PromptWriter prompt = new();

    private Qwen36Template(JsonElement[] messages, JsonElement options)
    {
        this.messages = messages;
        this.options = options;
        content = new MessageContent(addVisionId: IsTruthy(Property(options, "add_vision_id")));
    }

    /// <summary>Renders OpenAI-shaped messages with the options tools, add_generation_prompt, enable_thinking, preserve_thinking and
    /// add_vision_id.</summary>
    public static RenderedPrompt Render(JsonElement messages, JsonElement options)
    {
        if (messages.ValueKind != JsonValueKind.Array) throw new ArgumentException("messages must be an array.");
        if (messages.GetArrayLength() == 0) throw new ArgumentException("No messages provided.");
        return new Qwen36Template([.. messages.EnumerateArray()], options).Render();
    }

    private RenderedPrompt Render()
    {
        WriteSystem();
        int lastQuery = LastQuery();
        for (int i = 0; i < messages.Length; i++)
            WriteMessage(i, lastQuery);

        if (IsTruthy(Property(options, "add_generation_prompt")))
        {
            prompt.Template("<|im_start|>assistant\n");
            prompt.Template(Is(Property(options, "enable_thinking"), JsonValueKind.False) ? "<think>\n\n</think>\n\n" : "<think>\n");
        }

        return prompt.ToPrompt();
    }

    private void WriteSystem()
    {
        bool hasSystem = Role(messages[0]) == "system";
        RenderedPrompt system = hasSystem ? content.Render(messages[0], counts: false, isSystem: true).Trim() : RenderedPrompt.Given("");
        JsonElement? given = Property(options, "tools");
        if (Is(given, JsonValueKind.String) && IsTruthy(given)) throw new ArgumentException("tools must be an array.");
        if (given is JsonElement { ValueKind: JsonValueKind.Array } tools && tools.GetArrayLength() > 0)
        {
            prompt.Template("<|im_start|>system\n# Tools\n\nYou have access to the following functions:\n\n<tools>");
            foreach (JsonElement tool in tools.EnumerateArray())
                prompt.Template("\n").Given(PythonText.ToJson(tool));
            prompt.Template("\n</tools>").Template(ToolRules);
            if (system.Text.Length > 0) prompt.Template("\n\n").Add(system);
            prompt.Template("<|im_end|>\n");
        }
        else if (hasSystem)
        {
            prompt.Template("<|im_start|>system\n").Add(system).Template("<|im_end|>\n");
        }
    }

    // The last user turn that is not wholly a tool's response.
    private int LastQuery()
    {
        for (int i = messages.Length - 1; i >= 0; i--)
        {
            if (Role(messages[i]) != "user") continue;
            string text = content.Render(messages[i], counts: false).Trim().Text;
            bool isResponse = text.StartsWith("<tool_response>", StringComparison.Ordinal)
                && text.EndsWith("</tool_response>", StringComparison.Ordinal);
            if (!isResponse) return i;
        }

        throw new ArgumentException("No user query found in messages.");
    }

    private void WriteMessage(int index, int lastQuery)
    {
        RenderedPrompt text = content.Render(messages[index], counts: true).Trim();
        switch (Role(messages[index]))
        {
            case "system":
                if (index > 0) throw new ArgumentException("System message must be at the beginning.");
                break;
            case "user":
                prompt.Template("<|im_start|>user\n").Add(text).Template("<|im_end|>\n");
                break;
            case "assistant":
                WriteAssistant(messages[index], text, isAfterQuery: index > lastQuery);
                break;
            case "tool":
                WriteToolResponse(index, text);
                break;
            default:
                throw new ArgumentException("Unexpected message role.");
        }
    }

    private void WriteAssistant(JsonElement message, RenderedPrompt text, bool isAfterQuery)
    {
        RenderedPrompt reasoning = RenderedPrompt.Given("");
        if (Property(message, "reasoning_content") is JsonElement { ValueKind: JsonValueKind.String } given)
        {
            reasoning = RenderedPrompt.Given(PythonJson.GetString(given));
        }
        else if (text.Text.Contains("</think>", StringComparison.Ordinal))
        {
            reasoning = text.Before("</think>").TrimEndLines().After("<think>").TrimStartLines();
            text = text.After("</think>").TrimStartLines();
        }

        prompt.Template("<|im_start|>assistant\n");
        if (isAfterQuery || Is(Property(options, "preserve_thinking"), JsonValueKind.True))
            prompt.Template("<think>\n").Add(reasoning.Trim()).Template("\n</think>\n\n");
        prompt.Add(text);
        WriteToolCalls(message, hasText: text.Trim().Text.Length > 0);
        prompt.Template("<|im_end|>\n");
    }

    private void WriteToolCalls(JsonElement message, bool hasText)
    {
        JsonElement? calls = Property(message, "tool_calls");
        if (Is(calls, JsonValueKind.String) && IsTruthy(calls)) throw new ArgumentException("tool_calls must be an array.");
        if (!Is(calls, JsonValueKind.Array)) return;

        string before = hasText ? "\n\n" : "";
        foreach (JsonElement call in calls!.Value.EnumerateArray())
        {
            WriteToolCall(Property(call, "function") ?? call, before);
            before = "\n";
        }
    }

    private void WriteToolCall(JsonElement function, string before)
    {
        if (Property(function, "name") is not JsonElement { ValueKind: JsonValueKind.String } name)
            throw new ArgumentException("The name of a tool call's function must be a string.");

        prompt.Template(before).Template("<tool_call>\n<function=").Given(PythonJson.GetString(name)).Template(">\n");
        if (Property(function, "arguments") is JsonElement arguments)
        {
            if (arguments.ValueKind != JsonValueKind.Object)
            {
                throw new ArgumentException(
                    $"The arguments of a call of \"{PythonJson.GetString(name)}\" must be an object, not {arguments.ValueKind}.");
            }

            foreach ((string argument, JsonElement value) in PythonJson.Properties(arguments))
            {
                string text = value.ValueKind == JsonValueKind.String ? PythonJson.GetString(value) : PythonText.ToJson(value);
                prompt.Template("<parameter=").Given(argument).Template(">\n").Given(text).Template("\n</parameter>\n");
            }
        }

        prompt.Template("</function>\n</tool_call>");
    }

    // Responses that follow each other share one user turn.
    private void WriteToolResponse(int index, RenderedPrompt text)
    {
        if (index > 0 && Role(messages[index - 1]) != "tool") prompt.Template("<|im_start|>user");
        prompt.Template("\n<tool_response>\n").Add(text).Template("\n</tool_response>");
        if (index == messages.Length - 1 || Role(messages[index + 1]) != "tool") prompt.Template("<|im_end|>\n");
    }

    private static string? Role(JsonElement message) =>
        Property(message, "role") is JsonElement { ValueKind: JsonValueKind.String } role ? PythonJson.GetString(role) : null;

    private static JsonElement? Property(JsonElement value, string name) =>
        value.ValueKind == JsonValueKind.Object && value.TryGetProperty(name, out JsonElement property) ? property : null;

    private static bool Is(JsonElement? value, JsonValueKind kind) => value?.ValueKind == kind;

    // Python's bool(value).
    private static bool IsTruthy(JsonElement? value) => value is JsonElement element && element.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.String => element.GetRawText().Length > 2,
        JsonValueKind.Number => double.Parse(element.GetRawText(), System.Globalization.CultureInfo.InvariantCulture) != 0,
        JsonValueKind.Array => element.GetArrayLength() > 0,
        JsonValueKind.Object => element.EnumerateObject().Any(),
        _ => false,
    };
}
