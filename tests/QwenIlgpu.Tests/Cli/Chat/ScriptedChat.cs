using System.Runtime.CompilerServices;
using QwenIlgpu.Cli;
using QwenIlgpu.Cli.Chat;

namespace QwenIlgpu.Tests.Cli.Chat;

/// <summary>A chat with a model that answers what the test says, or else how many answers it has given. A word is a token.</summary>
internal sealed class ScriptedChat
{
    private readonly Queue<ScriptedAnswer> answers;
    private readonly StringWriter output = new();
    private readonly StringWriter error = new();
    private int given;

    public ScriptedChat(params ScriptedAnswer[] answers) => this.answers = new Queue<ScriptedAnswer>(answers);

    public ChatSettings Settings { get; } = new();

    public int ContextTokens { get; init; } = 1000;

    public string? System { get; init; }

    /// <summary>What the model saw, a text for each question.</summary>
    public List<string> Seen { get; } = [];

    public IReadOnlyList<PromptMessage> Messages { get; private set; } = [];

    public string Output => output.ToString();

    public string Error => error.ToString();

    /// <summary>News and refusals, one each, without what stands before them.</summary>
    public string[] News => [.. Error.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Replace("qwen: ", "", StringComparison.Ordinal))];

    public ScriptedChat Run(params string[] lines)
    {
        using var terminal = new Terminal(new StringReader(string.Join('\n', lines)), output, error);
        var model = new ChatModel(ContextTokens, (messages, _) => messages.Sum(Words), (messages, _, options, stopped) => AnswerAsync(terminal, messages, options, stopped));
        var chat = new ChatLoop(model, terminal, new PlainLines(terminal), Settings, System, json: false);
        chat.RunAsync().GetAwaiter().GetResult();
        Messages = chat.Conversation.Messages;
        return this;
    }

    /// <summary>Messages as one text.</summary>
    public static string Shown(IEnumerable<PromptMessage> messages) => string.Join(" | ", messages.Select(m => $"{m.Role[0]}: {m.Content}"));

    private static int Words(PromptMessage message) => message.Content.Split(' ').Length;

    private async IAsyncEnumerable<GenerationUpdate> AnswerAsync(
        Terminal terminal, IReadOnlyList<PromptMessage> messages, GenerationOptions options, [EnumeratorCancellation] CancellationToken stopped)
    {
        await Task.CompletedTask;
        Seen.Add(Shown(messages));
        ScriptedAnswer answer = answers.TryDequeue(out ScriptedAnswer? next) ? next : new ScriptedAnswer($"answer {++given}");
        if (answer.Thoughts.Length > 0)
            yield return Update(answer.Thoughts, TextKind.Reasoning);
        if (answer.Text.Length > 0)
            yield return Update(answer.Text, TextKind.Answer);
        if (answer.IsStopped)
        {
            terminal.Interrupts.Raise();
            stopped.ThrowIfCancellationRequested();
        }

        int tokens = answer.Tokens ?? options.MaxTokens;
        yield return Update("", TextKind.Answer) with
        {
            FinishReason = answer.IsCut ? FinishReason.Length : FinishReason.Stop,
            Usage = new GenerationUsage(messages.Sum(Words), 0, tokens, answer.Thoughts.Length > 0 ? tokens : 0, null, default, default, TimeSpan.FromSeconds(1)),
        };
    }

    private static GenerationUpdate Update(string text, TextKind kind) => new() { TokenIds = [], Text = text, Kind = kind };
}

/// <summary>An answer of a model that is not there.</summary>
internal sealed record ScriptedAnswer(string Text, string Thoughts = "", bool IsCut = false, bool IsStopped = false, int? Tokens = null);
