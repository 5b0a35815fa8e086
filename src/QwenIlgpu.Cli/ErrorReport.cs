using System.Text.Json.Nodes;

namespace QwenIlgpu.Cli;

/// <summary>How a command that fails says why: a line for people, or with --json an object on a line.</summary>
internal sealed class ErrorReport(Terminal terminal)
{
    /// <summary>Whether --json is given.</summary>
    public bool IsJson { get; set; }

    /// <summary>Whether the stack trace is shown.</summary>
    public bool IsVerbose { get; set; }

    /// <summary>Says it; the exit code.</summary>
    public int Tell(int exitCode, string message, Exception? error)
    {
        string? details = IsVerbose ? error?.ToString() : null;
        if (!IsJson)
        {
            terminal.Fail(message, details);
            return exitCode;
        }

        var json = new JsonObject { ["error"] = message, ["exit_code"] = exitCode };
        if (details is not null)
            json["details"] = details;
        if (error is DiagnosisException diagnosis)
            json["report"] = diagnosis.Report.DeepClone();
        terminal.Fail(json);
        return exitCode;
    }
}

/// <summary>A report has been made, and what it found is a failure.</summary>
internal sealed class DiagnosisException(string message, JsonObject report) : Exception(message)
{
    public JsonObject Report => report;
}
