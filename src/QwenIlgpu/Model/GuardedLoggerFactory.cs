using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace QwenIlgpu;

/// <summary>
/// The user's loggers, whose exceptions go nowhere: they write from the engine's thread, where one would end the process, and while things
/// are cleaned up, which it must not cut short.
/// </summary>
internal sealed class GuardedLoggerFactory(ILoggerFactory loggers) : ILoggerFactory
{
    public ILogger CreateLogger(string categoryName) => new Guarded(Try(() => loggers.CreateLogger(categoryName), null) ?? NullLogger.Instance);

    public void AddProvider(ILoggerProvider provider) => loggers.AddProvider(provider);

    /// <summary>The factory is the user's to dispose.</summary>
    public void Dispose()
    {
    }

    private static T Try<T>(Func<T> call, T otherwise)
    {
        try
        {
            return call();
        }
#pragma warning disable CA1031 // Whatever a logger throws is no reason to stop.
        catch (Exception)
#pragma warning restore CA1031
        {
            return otherwise;
        }
    }

    private sealed class Guarded(ILogger logger) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => Try(() => logger.IsEnabled(logLevel), false);

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Try(
                () =>
                {
                    logger.Log(logLevel, eventId, state, exception, formatter);
                    return true;
                },
                false);
    }
}
