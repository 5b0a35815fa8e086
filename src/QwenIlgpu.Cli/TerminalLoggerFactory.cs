using Microsoft.Extensions.Logging;

namespace QwenIlgpu.Cli;

/// <summary>The library's log on standard error: its notices, and with --verbose everything.</summary>
internal sealed class TerminalLoggerFactory(Terminal terminal, bool verbose) : ILoggerFactory, ILogger
{
    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException("the terminal is the only place to log to");

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    // Errors reach the user as the command's one message.
    public bool IsEnabled(LogLevel logLevel) => verbose || logLevel == LogLevel.Warning;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel))
            return;
        try
        {
            terminal.Note(formatter(state, exception));
        }
        catch (IOException)
        {
            // Threads of the library log too; the command's own next line meets the same stream and ends it.
        }
    }

    public void Dispose()
    {
    }
}
