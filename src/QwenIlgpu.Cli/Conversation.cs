namespace QwenIlgpu.Cli;

/// <summary>
/// The loop of a chat: reads a line, streams the answer, remembers both. Ctrl-C ends an answer and keeps what there is of it.
/// </summary>
internal sealed class Conversation(
    Engine engine, Terminal terminal, GenerationOptions options, ChatTemplateOptions template, string? system, bool silent)
{
    private readonly List<PromptMessage> messages = Opening(system);

    public IReadOnlyList<PromptMessage> Messages => messages;

    public async Task RunAsync()
    {
        // At the prompt there is nothing to stop.
        using IDisposable listening = terminal.Interrupts.Listen(() =>
        {
            terminal.Error.WriteLine("(/exit leaves)");
            Prompt();
            return true;
        });
        while (true)
        {
            Prompt();
            switch (await terminal.Input.ReadLineAsync().ConfigureAwait(false))
            {
                case null or "/exit" or "/quit":
                    return;
                case "/clear":
                    messages.Clear();
                    messages.AddRange(Opening(system));
                    Tell("the conversation begins anew");
                    break;
                case ['/', ..] command when !command.Contains(' ', StringComparison.Ordinal):
                    Tell($"{command} is no command; there are /exit and /clear");
                    break;
                case { } line when line.Trim().Length > 0:
                    await AnswerAsync(line).ConfigureAwait(false);
                    break;
            }
        }
    }

    // Whoever talks is answered at once; what was noted before the first answer came is told then.
    private void Tell(string message)
    {
        terminal.ShowNotices();
        terminal.Note(message);
    }

    private void Prompt()
    {
        if (terminal.InputIsTerminal)
            terminal.Error.Write("> ");
    }

    private async Task AnswerAsync(string line)
    {
        messages.Add(PromptMessage.User(line));
        var answer = new AnswerWriter(terminal, silent);
        using var stopped = new CancellationTokenSource();
        try
        {
            using IDisposable listening = terminal.Interrupts.Listen(() =>
            {
                stopped.Cancel();
                return true;
            });
            await answer.ReadAsync(engine.GenerateAsync(messages, template, options, stopped.Token)).ConfigureAwait(false);
            Tell(answer.Usage!.ToLine(answer.FinishReason));
        }
        catch (OperationCanceledException) when (stopped.IsCancellationRequested)
        {
            Tell("answer stopped");
        }
        catch (ArgumentException e)
        {
            messages.RemoveAt(messages.Count - 1);
            Tell($"{ErrorText.Of(e)} (/clear begins anew)");
            return;
        }

        string? thoughts = answer.Reasoning.Length > 0 ? answer.Reasoning : null;
        messages.Add(PromptMessage.Assistant(answer.Text) with { ReasoningContent = thoughts });
    }

    private static List<PromptMessage> Opening(string? system) => system is null ? [] : [PromptMessage.System(system)];
}
