using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cli;

/// <summary>An exception as one message for people.</summary>
internal static class ErrorText
{
    public static string Of(Exception error)
    {
        while (error is AggregateException { InnerException: { } inner })
            error = inner;

        string text = error switch
        {
            // The runtime appends the parameter's name, which no user knows, and the value, which the message holds already.
            ArgumentException { ParamName: not null } => WithoutParameter(error.Message),
            InsufficientMemoryException => $"{error.Message}; on the command line: --context, --kv-type and --prefill-chunk",
            OutOfMemoryException => "out of memory; try a smaller --context, or --quantize int4",
            _ => error.Message,
        };
        return IsExpected(error) ? text : $"unexpected {error.GetType().Name}: {text} (--verbose shows where)";
    }

    private static string WithoutParameter(string message)
    {
        int end = message.IndexOf(" (Parameter '", StringComparison.Ordinal);
        return end < 0 ? message : message[..end];
    }

    private static bool IsExpected(Exception error) => error
        is UsageException or DiagnosisException or ArgumentException or InvalidDataException or NotSupportedException
        or IOException or UnauthorizedAccessException or OutOfMemoryException or OperationCanceledException or TimeoutException
        or EngineStoppedException or EngineQueueFullException or DriverCallException or AcceleratorException or DllNotFoundException;
}
