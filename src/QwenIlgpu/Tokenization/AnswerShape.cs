using System.Text.Json;
using System.Text.Json.Nodes;

namespace QwenIlgpu;

/// <summary>How a template writes calls of tools, and so how its model does.</summary>
internal enum ToolCallDialect
{
    /// <summary>It leaves them out.</summary>
    None,

    /// <summary><c>&lt;tool_call&gt;&lt;function=NAME&gt;&lt;parameter=KEY&gt;…</c>, as Qwen3.5 and later.</summary>
    Xml,

    /// <summary><c>&lt;tool_call&gt;{"name": …, "arguments": …}</c>, as Hermes and Qwen3.</summary>
    Json,

    /// <summary>In some other way.</summary>
    Other,
}

/// <summary>What stands around thoughts.</summary>
/// <param name="Start">Before them.</param>
/// <param name="End">Behind them.</param>
internal sealed record ThinkMarkers(string Start, string End)
{
    /// <summary>Those of the Qwen family.</summary>
    public static readonly ThinkMarkers Qwen = new("<think>", "</think>");
}

/// <summary>What answers look like to a chat template, read from how it renders conversations that hold some.</summary>
/// <param name="Thinking">What stands around thoughts; null where the template knows of none.</param>
/// <param name="OpensThought">Whether the prompt ends inside of a thought where no option says otherwise.</param>
/// <param name="ThinkingCanBeOff">Whether enable_thinking=false makes another prompt, which is not inside of one.</param>
/// <param name="ToolCalls">How calls of tools are written.</param>
/// <param name="EndOfTurn">What stands behind an answer; null where nothing does.</param>
internal sealed record AnswerShape(
    ThinkMarkers? Thinking, bool OpensThought, bool ThinkingCanBeOff, ToolCallDialect ToolCalls, string? EndOfTurn)
{
    /// <summary>Whether calls of tools can be told from text; their reader knows both ways, as models do not always keep to their own.</summary>
    public bool HasReadableCalls => ToolCalls is ToolCallDialect.Xml or ToolCallDialect.Json;

    // Words that no template writes itself.
    private const string Question = "zq1qz";
    private const string Thought = "zt2tz";
    private const string Answer = "za3az";
    private const string Next = "zq4qz";
    private const string Function = "zf5fz";
    private const string Parameter = "zp6pz";
    private const string Value = "zv7vz";

    /// <summary>The shape of a template's answers; of a template that refuses these conversations only what can be known.</summary>
    public static AnswerShape Of(ChatTemplate template)
    {
        Probe probe = new(template);
        string prompt = probe.Render([User(Question)], """{"add_generation_prompt": true}""");
        string quiet = probe.Render([User(Question)], """{"add_generation_prompt": true, "enable_thinking": false}""");
        ThinkMarkers? thinking = MarkersOf(probe);
        bool IsInside(string text) => thinking is not null && text.LastIndexOf(thinking.Start, StringComparison.Ordinal) is var at and >= 0
            && !text.AsSpan(at).Contains(thinking.End, StringComparison.Ordinal);
        string turn = probe.Render([User(Question), Assistant(Answer)]);
        string end = turn[(turn.LastIndexOf(Answer, StringComparison.Ordinal) is var last and >= 0 ? last + Answer.Length : turn.Length)..].Trim();
        return new AnswerShape(
            thinking, IsInside(prompt), quiet.Length > 0 && quiet != prompt && !IsInside(quiet), DialectOf(probe), end.Length > 0 ? end : null);
    }

    /// <summary>As reports show it.</summary>
    public JsonObject ToJson() => new()
    {
        ["thinking"] = Thinking is null ? null : $"{Thinking.Start} … {Thinking.End}",
        ["prompt_opens_thought"] = OpensThought,
        ["thinking_can_be_off"] = ThinkingCanBeOff,
        ["tool_calls"] = ToolCalls.ToString().ToLowerInvariant(),
        ["end_of_turn"] = EndOfTurn,
    };

    // What stands between the header of a turn and a thought, and between the thought and the answer. Where the template takes no thoughts
    // of their own, those of Qwen count if it takes them out of an earlier answer.
    private static ThinkMarkers? MarkersOf(Probe probe)
    {
        JsonObject thought = Assistant(Answer);
        foreach (string key in (string[])["reasoning_content", "reasoning", "thinking"])
            thought[key] = Thought;
        string header = Between(probe.Render([User(Question), Assistant(Answer), User(Next)]), Question, Answer);
        string last = probe.Render([User(Question), thought]);
        string start = Between(last, Question, Thought);
        if (header.Length > 0 && start.StartsWith(header, StringComparison.Ordinal))
        {
            (start, string end) = (start[header.Length..].Trim(), Between(last, Thought, Answer).Trim());
            return start.Length > 0 && end.Length > 0 ? new ThinkMarkers(start, end) : null;
        }

        ThinkMarkers qwen = ThinkMarkers.Qwen;
        string dropped = probe.Render([User(Question), Assistant($"{qwen.Start}\n{Thought}\n{qwen.End}\n\n{Answer}"), User(Next)]);
        return dropped.Contains(Answer, StringComparison.Ordinal) && !dropped.Contains(Thought, StringComparison.Ordinal) ? qwen : null;
    }

    private static ToolCallDialect DialectOf(Probe probe)
    {
        string arguments = $$"""{"{{Parameter}}": "{{Value}}"}""";
        string text = probe.Render([User(Question), Calling(JsonNode.Parse(arguments)!)], Tools);
        if (text.Length == 0)
            text = probe.Render([User(Question), Calling(arguments)], Tools);
        text = text[Math.Max(0, text.LastIndexOf(Question, StringComparison.Ordinal))..];
        if (!text.Contains(Function, StringComparison.Ordinal))
            return ToolCallDialect.None;
        if (!text.Contains(ToolCallReader.Start, StringComparison.Ordinal) || !text.Contains(ToolCallReader.End, StringComparison.Ordinal))
            return ToolCallDialect.Other;
        if (text.Contains($"<function={Function}>", StringComparison.Ordinal) && text.Contains($"<parameter={Parameter}>", StringComparison.Ordinal))
            return ToolCallDialect.Xml;
        string json = string.Concat(text.Where(static c => !char.IsWhiteSpace(c)));
        return json.Contains($"\"name\":\"{Function}\"", StringComparison.Ordinal) && json.Contains($"\"arguments\":{{\"{Parameter}\":", StringComparison.Ordinal)
            ? ToolCallDialect.Json : ToolCallDialect.Other;
    }

    private const string Tools =
        """{"tools": [{"type": "function", "function": {"name": "zf5fz", "description": "", "parameters": {"type": "object", "properties": {}}}}]}""";

    private static JsonObject User(string content) => new() { ["role"] = "user", ["content"] = content };

    private static JsonObject Assistant(string content) => new() { ["role"] = "assistant", ["content"] = content };

    private static JsonObject Calling(JsonNode arguments) => new()
    {
        ["role"] = "assistant",
        ["content"] = "",
        ["tool_calls"] = new JsonArray(
            new JsonObject { ["id"] = "call00000", ["type"] = "function", ["function"] = new JsonObject { ["name"] = Function, ["arguments"] = arguments } }),
    };

    private static string Between(string text, string before, string after)
    {
        int start = text.IndexOf(before, StringComparison.Ordinal);
        int end = start < 0 ? -1 : text.IndexOf(after, start, StringComparison.Ordinal);
        return end < 0 ? "" : text[(start + before.Length)..end];
    }

    private sealed class Probe(ChatTemplate template)
    {
        /// <summary>The prompt; empty where the template refuses the conversation.</summary>
        public string Render(JsonNode[] messages, string options = "{}")
        {
            try
            {
                return template.Render(new JinjaList([.. messages.Select(JinjaJson.ToValue)]), JsonElement.Parse(options)).Text;
            }
            catch (ArgumentException)
            {
                return "";
            }
        }
    }
}
