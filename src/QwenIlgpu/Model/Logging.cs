using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace QwenIlgpu;

/// <summary>The library's log messages.</summary>
internal static partial class Log
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "{Notice}")]
    public static partial void Notice(ILogger logger, string notice);

    [LoggerMessage(Level = LogLevel.Information, Message = "Loaded {Path} onto {Device}: {Bytes} bytes in {Elapsed}")]
    public static partial void Loaded(ILogger logger, string path, string device, long bytes, TimeSpan elapsed);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Recorded {Shape}: {Nodes} nodes, {Launches} launches, arena {Bytes} bytes")]
    public static partial void Recorded(ILogger logger, string shape, int nodes, int launches, long bytes);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Prefill steps take up to {Tokens} tokens: activations of {Bytes} bytes")]
    public static partial void PrefillChunk(ILogger logger, int tokens, long bytes);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A request waits for {Needed} cache pages of {PageTokens} tokens: {Free} of {Pages} are free, {Left} are left for {Live} live requests to grow; raise CacheTokens, or lower MaxSequences")]
    public static partial void WaitsForPages(ILogger logger, int needed, int pageTokens, int free, int pages, int left, int live);

    [LoggerMessage(Level = LogLevel.Information, Message = "A request of {Tokens} tokens gives up its {Pages} cache pages to {Older} older ones: {Bytes} bytes go to the host until there is room")]
    public static partial void GivesUpPages(ILogger logger, int tokens, int pages, int older, long bytes);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A request of {Tokens} tokens gives up its {Pages} cache pages to {Older} older ones and will be computed again: on the host it would take {Bytes} bytes, {UsedBytes} of {BudgetBytes} are in use; raise SpillBytes or CacheTokens, or lower MaxSequences")]
    public static partial void BeginsAgain(ILogger logger, int tokens, int pages, int older, long bytes, long usedBytes, long budgetBytes);

    [LoggerMessage(Level = LogLevel.Debug, Message = "A request that gave up its cache pages goes on after {Tokens} tokens with {Pages} pages")]
    public static partial void Returns(ILogger logger, int tokens, int pages);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The host grants no more than {Bytes} of {BudgetBytes} bytes to requests that give up their cache pages; lower SpillBytes")]
    public static partial void SpillSpaceRefused(ILogger logger, long bytes, long budgetBytes, Exception? exception);

    [LoggerMessage(Level = LogLevel.Error, Message = "The engine stopped: every live request ends with this exception")]
    public static partial void EngineFault(ILogger logger, Exception exception);
}

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
