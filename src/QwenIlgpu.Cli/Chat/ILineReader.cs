namespace QwenIlgpu.Cli.Chat;

/// <summary>Where a chat's lines come from.</summary>
internal interface ILineReader
{
    /// <summary>The next line or text; null where no more will come.</summary>
    ValueTask<string?> ReadAsync();

    /// <summary>An interrupt came while nothing runs that it could stop.</summary>
    void Interrupt();
}

/// <summary>Lines as they come, from a pipe, a file or a terminal that edits them itself.</summary>
internal sealed class PlainLines(Terminal terminal) : ILineReader
{
    public ValueTask<string?> ReadAsync()
    {
        Prompt();
        return new ValueTask<string?>(terminal.Input.ReadLineAsync());
    }

    public void Interrupt()
    {
        terminal.Error.WriteLine("(/exit leaves)");
        Prompt();
    }

    private void Prompt()
    {
        if (terminal.InputIsTerminal)
            terminal.Error.Write("> ");
    }
}
