using Microsoft.Extensions.Logging;

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

    [LoggerMessage(Level = LogLevel.Debug, Message = "Prefill steps take up to {Tokens} tokens: activations of {Bytes} bytes, at most {BudgetBytes} allowed")]
    public static partial void PrefillChunk(ILogger logger, int tokens, long bytes, long budgetBytes);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A request waits for {Needed} cache pages of {PageTokens} tokens: {Free} of {Pages} are free beside {Live} live requests; raise CacheTokens, or lower MaxTokens")]
    public static partial void WaitsForPages(ILogger logger, int needed, int pageTokens, int free, int pages, int live);

    [LoggerMessage(Level = LogLevel.Error, Message = "The engine stopped: every live request ends with this exception")]
    public static partial void EngineFault(ILogger logger, Exception exception);
}
