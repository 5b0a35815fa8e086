using System.Text.Json.Nodes;

namespace QwenIlgpu.Tests;

/// <summary>What users do with conversations, at random: go on, ask again, edit, branch, leave out, call tools, start over.</summary>
internal sealed class Conversations(int seed, double length = 1)
{
    private static readonly string[] Words =
        ["fox", "house", "beach", "Norway", "Oslo", "seven", "five", "story", "Nora", "old", "runs", "sees", "the", "a", "and", "blue", "is", "what", "who", "ago"];

    private static readonly JsonNode Tool = JsonNode.Parse("""{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}""")!;

    private readonly Random random = new(seed);
    private List<PromptMessage> messages = [];
    private List<PromptMessage> branch = [];
    private ChatTemplateOptions template = new();

    /// <summary>The next request's conversation; <paramref name="answer"/> is what came of the last one, null for what was cancelled.</summary>
    public (PromptMessage[] Messages, ChatTemplateOptions Template) Next(string? answer)
    {
        if (messages.Count == 0 || random.Next(9) == 0)
            Begin();
        else
            GoOn(answer ?? Text(20));
        return ([.. messages], template);
    }

    /// <summary>A number below a limit, for what else is left to chance.</summary>
    public int Draw(int below) => random.Next(below);

    private void Begin()
    {
        // Few system prompts, so that conversations share them.
        template = new ChatTemplateOptions
        {
            EnableThinking = random.Next(2) == 0,
            PreserveThinking = random.Next(3) == 0,
            Tools = random.Next(3) == 0 ? [Tool.DeepClone()] : null,
        };
        messages = random.Next(3) > 0 ? [PromptMessage.System(new Conversations(random.Next(2), length).Text(80))] : [];
        messages.Add(PromptMessage.User(Text(40)));
        branch = [.. messages];
    }

    private void GoOn(string answer)
    {
        switch (random.Next(8))
        {
            case 0:                                                 // the same again
                return;
            case 1:                                                 // another question in place of the last
                messages[^1] = messages[^1] with { Content = messages[^1].Content + " " + Text(10) };
                return;
            case 2:                                                 // back to where the conversation once was
                messages = [.. branch];
                messages[^1] = PromptMessage.User(Text(30));
                return;
            case 3 when messages.Count > 3:                         // an earlier answer is edited
                messages[messages.FindIndex(m => m.Role == "assistant")] = PromptMessage.Assistant(Text(25));
                return;
            case 4 when messages.Count(m => m.Role == "user") > 2:  // the first turn is left out
                messages.RemoveAll(m => m.Role == "system");
                messages.RemoveRange(0, messages.FindIndex(1, m => m.Role == "user"));
                return;
            case 5:                                                 // a tool is called
                var call = new PromptToolCall("weather", new JsonObject { ["city"] = "Oslo" });
                messages.Add(PromptMessage.Assistant(answer) with { ReasoningContent = Text(30), ToolCalls = [call] });
                messages.Add(PromptMessage.Tool(Text(30)));
                return;
            default:
                messages.Add(PromptMessage.Assistant(answer));
                messages.Add(PromptMessage.User(Text(60)));
                if (random.Next(3) == 0)
                    branch = [.. messages];
                return;
        }
    }

    private string Text(int mostWords) => string.Join(
        ' ', Enumerable.Range(0, (int)(length * random.Next(mostWords / 4, mostWords + 1))).Select(_ => Words[random.Next(Words.Length)]));
}
