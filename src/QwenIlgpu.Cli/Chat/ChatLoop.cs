using System.Text.Json.Nodes;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cli.Chat;

/// <summary>The loop of a chat: a line is a question for the model, or a command if it begins with a slash.</summary>
internal sealed class ChatLoop
{
    private readonly Terminal terminal;
    private readonly ILineReader lines;
    private readonly ChatSettings settings;
    private readonly Answerer answerer;
    private readonly ContextWindow window;
    private readonly Conversation conversation = new();
    private readonly Command[] commands;
    private readonly bool json;

    // The last question that got no answer to keep.
    private string? unanswered;
    private string? savedTo;
    private bool leaves;

    /// <param name="model">Who answers.</param>
    /// <param name="terminal">Where answers and news go.</param>
    /// <param name="lines">Where questions come from.</param>
    /// <param name="settings">How it answers; commands change them.</param>
    /// <param name="system">Instructions before the conversation, or null.</param>
    /// <param name="json">Whether each answer is a line of JSON.</param>
    public ChatLoop(ChatModel model, Terminal terminal, ILineReader lines, ChatSettings settings, string? system, bool json)
    {
        (this.terminal, this.lines, this.settings, this.json, conversation.System) = (terminal, lines, settings, json, system);
        answerer = new Answerer(model, terminal, settings, json);
        window = new ContextWindow(model.ContextTokens, messages => model.CountTokens(messages, settings.Template));
        commands =
        [
            new("/help", "", "this list", _ => Help()),
            new("/clear", "", "begins anew; the instructions stay", _ => Clear()),
            new("/undo", "", "takes the last question and its answer back", _ => Undo()),
            new("/regen", "", "answers the last question again", _ => RegenerateAsync()),
            new("/system", "TEXT", "instructions before the conversation; - removes them, nothing shows them", SetSystem),
            new("/set", "NAME VALUE", "changes an option; nothing lists them", Set),
            new("/save", "FILE", "writes the conversation to a new file; nothing writes to the last one again", f => Save(f, replaces: false)),
            new("/save!", "FILE", "the same, and replaces a file", f => Save(f, replaces: true)),
            new("/load", "FILE", "goes on with a saved conversation in place of this one", Load),
            new("/exit", "", "leaves; so do /quit and Ctrl-D", _ => Leave()),
            new("/quit", "", "", _ => Leave()),
        ];
    }

    /// <summary>What has been said, or is gone on with.</summary>
    public Conversation Conversation => conversation;

    /// <summary>Told behind each line that was typed.</summary>
    public Action<Conversation> Changed { get; init; } = static _ => { };

    public async Task RunAsync()
    {
        using IDisposable listening = terminal.Interrupts.Listen(() =>
        {
            lines.Interrupt();
            return true;
        });
        while (!leaves && await lines.ReadAsync().ConfigureAwait(false) is { } line)
        {
            string text = line.TrimStart();
            if (text.StartsWith("//", StringComparison.Ordinal))
                await AskAsync(text[1..]).ConfigureAwait(false);
            else if (text.StartsWith('/'))
                await ObeyAsync(text).ConfigureAwait(false);
            else if (text.Length > 0)
                await AskAsync(line).ConfigureAwait(false);
            Changed(conversation);
        }
    }

    private async Task ObeyAsync(string text)
    {
        int end = text.AsSpan().IndexOfAny(" \t\n");
        (string name, string argument) = end < 0 ? (text.TrimEnd(), "") : (text[..end], text[end..].Trim());
        if (Array.Find(commands, c => c.Name == name) is not { } command)
        {
            terminal.Tell($"{name} is no command{NearMiss.Question(name, commands.Select(c => c.Name))}; "
                + "/help lists them, and a text that begins with // is sent with one /");
            return;
        }

        try
        {
            if (command.Argument.Length == 0 && argument.Length > 0)
                throw new UsageException($"{name} takes nothing behind it");
            await command.Run(argument).ConfigureAwait(false);
        }
        catch (Exception e) when (IsOfTheCommand(e))
        {
            terminal.Tell(ErrorText.Of(e));
        }
    }

    // Of other errors the chat ends.
    private static bool IsOfTheCommand(Exception e) =>
        e is UsageException or IOException or UnauthorizedAccessException or InvalidDataException or ArgumentException
        && !DescriptorStream.IsReaderLeft(e);

    private async Task AskAsync(string question)
    {
        unanswered = question;
        try
        {
            int maxTokens = settings.Generation.MaxTokens;
            (int leftOut, string? refusal) = window.Fit(conversation, question, maxTokens, settings.OnFull);
            if (refusal is not null)
            {
                Refuse(refusal);
                return;
            }

            if (leftOut > conversation.LeftOut)
            {
                terminal.Tell(
                    $"the context is full: the model no longer sees the oldest {Count(leftOut, "turn")} (--on-full stop refuses instead)");
            }

            conversation.LeftOut = leftOut;
            IReadOnlyList<PromptMessage> messages = conversation.Asking(question, leftOut);
            if (await answerer.AnswerAsync(messages).ConfigureAwait(false) is not { } answer)
                return;
            conversation.Add(new Turn(messages[^1], answer));
            unanswered = null;
        }
        catch (ArgumentException e)
        {
            Refuse($"{ErrorText.Of(e)} (/clear begins anew)");
        }
    }

    // Whoever reads lines of JSON gets one for each question.
    private void Refuse(string why)
    {
        terminal.Tell(why);
        if (json)
            terminal.WriteJson(new JsonObject { ["error"] = why });
    }

    private Task Help()
    {
        terminal.ShowNotices();
        foreach (Command command in commands.Where(c => c.Meaning.Length > 0))
            terminal.Error.WriteLine($"  {$"{command.Name} {command.Argument}",-18} {command.Meaning}");
        terminal.Error.WriteLine("  A text that begins with // is sent with one /. Ctrl-C stops an answer.");
        if (terminal.Keyboard is not null)
        {
            terminal.Error.WriteLine("  Alt-Enter, or \\ at the end, begins another line.");
            terminal.Error.WriteLine("  A line that begins with a blank is not kept in the history.");
        }

        return Task.CompletedTask;
    }

    private Task Clear()
    {
        conversation.Restart();
        (unanswered, savedTo) = (null, null);
        return Say("the conversation begins anew");
    }

    private Task Undo()
    {
        unanswered = null;
        return Say(conversation.TakeBack() is { } turn
            ? $"taken back: {Shortened(turn.Question.Content)}{Use()}" : "there is nothing to take back");
    }

    private async Task RegenerateAsync()
    {
        Turn? last = unanswered is null ? conversation.TakeBack() : null;
        if ((unanswered ?? last?.Question.Content) is not { } question)
            throw new UsageException("there is no question to answer again");
        await AskAsync(question).ConfigureAwait(false);
        if (last is null || unanswered is null)
            return;
        conversation.Add(last);
        unanswered = null;
        terminal.Tell("the answer that was there stays");
    }

    private Task SetSystem(string text)
    {
        if (text.Length == 0)
            return Say(conversation.System is { } system ? $"instructions: {system}" : "there are no instructions");
        conversation.System = text == "-" ? null : text;
        conversation.LeftOut = 0;
        return Say((text == "-" ? "there are no instructions any more" : "the instructions hold from the next question on") + Use());
    }

    private Task Set(string argument)
    {
        if (argument.Length == 0)
        {
            terminal.ShowNotices();
            foreach (string line in settings.Lines())
                terminal.Error.WriteLine(line);
            return Task.CompletedTask;
        }

        string[] parts = argument.Split((char[]?)null, 2, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return Say(settings.Set(parts[0], parts.ElementAtOrDefault(1) ?? ""));
    }

    // Only the file that this conversation came from or went to is replaced unasked, and even that is said.
    private Task Save(string argument, bool replaces)
    {
        string path = argument.Length > 0 ? FullPath(argument)
            : savedTo ?? throw new UsageException("/save takes the name of a file; this conversation has none yet");
        bool exists = FileKinds.Of(path) == FileKind.Regular;
        if (exists && !replaces && path != savedTo)
            throw new UsageException($"{path} is there already; /save! {argument} replaces it");
        ChatFile.Save(path, conversation);
        savedTo = path;
        return Say($"{Count(conversation.Messages.Count, "message")} written to {path}{(exists ? ", in place of what was there" : "")}");
    }

    private Task Load(string argument)
    {
        if (argument.Length == 0)
            throw new UsageException("/load takes the name of a file that /save has written");
        string path = FullPath(argument);
        (string? system, IReadOnlyList<Turn> turns) = ChatFile.Load(path);
        conversation.System = system;
        conversation.Restart(turns);
        (unanswered, savedTo) = (null, path);
        return Say($"{Count(conversation.Messages.Count, "message")} read from {path}{Use()}");
    }

    private Task Leave()
    {
        leaves = true;
        return Task.CompletedTask;
    }

    private Task Say(string message)
    {
        terminal.Tell(message);
        return Task.CompletedTask;
    }

    // Instructions alone are no prompt.
    private string Use() => conversation.Turns.Count > 0 ? $"; {answerer.ContextUse(conversation.Messages)}" : "";

    private static string FullPath(string path) => Path.GetFullPath(path.StartsWith("~/", StringComparison.Ordinal)
        ? Path.Join(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), path[1..]) : path);

    private static string Count(int count, string what) => count == 1 ? $"1 {what}" : $"{count} {what}s";

    private static string Shortened(string text) => text.Length <= 60 ? text : text[..60] + "…";

    private sealed record Command(string Name, string Argument, string Meaning, Func<string, Task> Run);
}

/// <summary>What a chat needs of a model and its engine.</summary>
/// <param name="ContextTokens">Longest conversation in tokens, the answer included.</param>
/// <param name="CountTokens">Tokens of messages as a prompt.</param>
/// <param name="Answer">Generates the next turn.</param>
internal sealed record ChatModel(
    int ContextTokens,
    Func<IReadOnlyList<PromptMessage>, ChatTemplateOptions, int> CountTokens,
    Func<IReadOnlyList<PromptMessage>, ChatTemplateOptions, GenerationOptions, CancellationToken, IAsyncEnumerable<GenerationUpdate>>
        Answer)
{
    public static ChatModel Of(QwenModel model, Engine engine) => new(engine.ContextTokens, model.CountTokens, engine.GenerateAsync);
}
