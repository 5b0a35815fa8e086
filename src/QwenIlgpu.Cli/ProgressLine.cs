namespace QwenIlgpu.Cli;

/// <summary>
/// How far a command is, on standard error: one line that is drawn over and erased in the end where that can be done, elsewhere a line
/// each time, or nothing.
/// </summary>
internal sealed class ProgressLine(Terminal terminal, bool everywhere = false) : IDisposable
{
    private const string EraseLine = "\r\e[K";

    private readonly Lock gate = new();
    private bool isDrawn;
    private bool isOver;

    public void Show(string text)
    {
        lock (gate)
        {
            if (isOver)
                return;
            if (!terminal.CanRedraw)
            {
                if (everywhere)
                    Write($"qwen: {text}{terminal.Error.NewLine}");
                return;
            }

            // A line that breaks could not be drawn over.
            Write(EraseLine + (text.Length < terminal.Width ? text : text[..(terminal.Width - 1)]));
            isDrawn = true;
        }
    }

    /// <summary>Erases what is drawn.</summary>
    public void Clear()
    {
        lock (gate)
        {
            if (isDrawn)
                Write(EraseLine);
            isDrawn = false;
        }
    }

    /// <summary>Nothing is shown from now on.</summary>
    public void Dispose()
    {
        Clear();
        lock (gate)
            isOver = true;
    }

    // A line that cannot be shown fails nothing; the command's own next line meets the same stream.
    private void Write(string text)
    {
        try
        {
            terminal.Error.Write(text);
        }
        catch (IOException)
        {
            // A line less.
        }
    }
}

/// <summary>Shows how much of a prompt has gone into the model, while there is more to come. Reports come from the engine's thread.</summary>
internal sealed class PromptLine(ProgressLine line) : IProgress<PromptProgress>
{
    /// <summary>What there is to say; nothing where no more is to come.</summary>
    public static string Text(PromptProgress value) => value.QueuedTokens < value.PromptTokens
        ? FormattableString.Invariant($"prompt: {value.QueuedTokens:N0} of {value.PromptTokens:N0} tokens") : "";

    public void Report(PromptProgress value)
    {
        if (Text(value) is { Length: > 0 } text)
            line.Show(text);
        else
            line.Clear();
    }
}
