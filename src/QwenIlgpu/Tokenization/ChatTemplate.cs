using System.Text.Json;

namespace QwenIlgpu;

/// <summary>
/// Turns a conversation into a prompt as a checkpoint's own template does, which is parsed once. What a caller gives never becomes a
/// control token: the prompt knows which of its characters the template wrote. Safe to share between threads.
/// </summary>
internal sealed class ChatTemplate
{
    private readonly ChatTemplateSource source;
    private readonly JinjaTemplate template;
    private readonly JinjaTemplate? withTools;
    private readonly Lazy<AnswerShape> shape;

    private ChatTemplate(ChatTemplateSource source)
    {
        this.source = source;
        template = Parse(source.Text);
        withTools = source.ToolUseText is { } text ? Parse(text) : null;
        shape = new Lazy<AnswerShape>(() => AnswerShape.Of(this));
    }

    /// <summary>Which template this is: the built-in one's name, the file that it stands in, or what it is called there.</summary>
    public string Name => source.Name;

    /// <summary>Which sources of a template contradict each other, and which counts; null where none do.</summary>
    public string? Notice => source.Notice;

    /// <summary>What answers look like to the template.</summary>
    public AnswerShape Shape => shape.Value;

    /// <summary>What strftime_now tells.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>The template of a checkpoint directory, or the chosen one; the built-in one where the checkpoint has none.</summary>
    /// <exception cref="ArgumentException">The choice is neither a file nor a known name.</exception>
    /// <exception cref="InvalidDataException">The source is no template.</exception>
    public static ChatTemplate Load(string directory, string? choice = null) => new(ChatTemplateSource.Find(directory, choice));

    /// <summary>OpenAI-shaped messages, an array, with the template's options, an object.</summary>
    /// <exception cref="ArgumentException">The template raises an exception or fails, or messages and options are not what they must be.</exception>
    public RenderedPrompt Render(JsonElement messages, JsonElement options)
    {
        if (messages.ValueKind != JsonValueKind.Array) throw new ArgumentException("messages must be an array.");
        return Render((JinjaList)JinjaJson.ToValue(messages), options);
    }

    /// <summary>Messages as a template sees them, with its options.</summary>
    public RenderedPrompt Render(JinjaList messages, JsonElement options)
    {
        Dictionary<string, object> variables = Variables();
        foreach ((string name, JsonElement value) in PythonJson.Properties(options))
            variables[name] = JinjaJson.ToValue(value);
        if (variables["tools"] is not (JinjaNone or JinjaList)) throw new ArgumentException("tools must be an array.");
        bool continues = variables.Remove("continue_final_message", out object? flag) && flag is true;
        if (continues && variables["add_generation_prompt"] is true)
            throw new ArgumentException("continue_final_message and add_generation_prompt exclude each other: a message goes on, or a new one begins.");
        return Render(messages, variables, continues);
    }

    /// <summary>Messages to a prompt.</summary>
    /// <exception cref="ArgumentException">The template raises an exception or fails.</exception>
    public RenderedPrompt Render(IEnumerable<PromptMessage> messages, ChatTemplateOptions options)
    {
        Dictionary<string, object> variables = Variables();
        options.AddTo(variables);
        return Render(new JinjaList([.. messages.Select(static message => message.ToJinja())]), variables, options.ContinueFinalMessage);
    }

    // What Hugging Face's transformers always pass.
    private Dictionary<string, object> Variables()
    {
        Dictionary<string, object> variables = new(StringComparer.Ordinal)
        {
            ["tools"] = JinjaNone.Value,
            ["documents"] = JinjaNone.Value,
            ["add_generation_prompt"] = false,
        };
        foreach ((string name, string token) in source.SpecialTokens)
            variables[name] = JinjaText.Template(token);
        return variables;
    }

    private RenderedPrompt Render(JinjaList messages, Dictionary<string, object> variables, bool continues)
    {
        FinalMessage? last = continues ? new FinalMessage(messages) : null;
        variables["messages"] = last?.Messages ?? messages;
        JinjaTemplate chosen = withTools is not null && variables["tools"] is JinjaList { Items.Count: > 0 } ? withTools : template;
        RenderedPrompt prompt = chosen.Render(variables, Clock.GetLocalNow().DateTime).ToPrompt();
        return last is null ? prompt : last.CutOff(prompt);
    }

    private JinjaTemplate Parse(string text)
    {
        try
        {
            return JinjaTemplate.Parse(text);
        }
        catch (JinjaException error)
        {
            throw new InvalidDataException($"{source.Path}: the chat template is at fault at {error.Message}", error);
        }
    }

    /// <summary>The last message of a conversation with a mark behind its text: what the template writes behind the mark is cut off.</summary>
    private sealed class FinalMessage
    {
        // Of the private use area and drawn by lot, so that no text holds it; the blank goes where the template trims.
        private readonly string mark = $"\uE000{Guid.NewGuid():N}\uE001";

        public FinalMessage(JinjaList messages) => Messages = Marked(messages);

        public JinjaList Messages { get; }

        public RenderedPrompt CutOff(RenderedPrompt prompt)
        {
            int at = prompt.Text.LastIndexOf(mark, StringComparison.Ordinal);
            if (at < 0) throw new ArgumentException("continue_final_message: the template leaves the content of the last message out.");
            bool isTrimmed = at + mark.Length == prompt.Text.Length || prompt.Text[at + mark.Length] != ' ';
            while (isTrimmed && at > 0 && PythonText.IsSpace(prompt.Text[at - 1])) at--;
            return prompt.Until(at);
        }

        private JinjaList Marked(JinjaList messages) =>
            messages.Items.Count > 0 && messages.Items[^1] is JinjaDict last && last.Items.TryGetValue(JinjaText.Data("content"), out object? content)
                && Marked(content) is { } marked
                ? new JinjaList([.. messages.Items.SkipLast(1), With(last, "content", marked)])
                : throw new ArgumentException("continue_final_message: the last message has no text that could go on.");

        private object? Marked(object content)
        {
            if (content is JinjaText text) return JinjaText.Data($"{text.Text}{mark} ");
            if (content is not JinjaList parts) return null;

            object[] marked = [.. parts.Items];
            for (int i = marked.Length - 1; i >= 0; i--)
            {
                if (marked[i] is JinjaDict part && part.Items.TryGetValue(JinjaText.Data("text"), out object? words) && words is JinjaText)
                {
                    marked[i] = With(part, "text", Marked(words)!);
                    return new JinjaList(marked);
                }
            }

            return null;
        }

        private static JinjaDict With(JinjaDict dict, string key, object value)
        {
            JinjaDict copy = new();
            foreach ((object name, object item) in dict.Items)
                copy.Items[name] = item;
            copy.Items[JinjaText.Data(key)] = value;
            return copy;
        }
    }
}
