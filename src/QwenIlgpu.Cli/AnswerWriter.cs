using System.Text;
using System.Text.Json.Nodes;
using QwenIlgpu.Cli.Chat;

namespace QwenIlgpu.Cli;

/// <summary>
/// Shows a generation as it comes and keeps it: the answer on standard output, thoughts on standard error, dimmed where that
/// shows colours, or folded: not shown. Calls of tools are lines behind the answer. A spinner turns until the first of what is shown.
/// </summary>
internal sealed class AnswerWriter(Terminal terminal, bool silent, bool foldsThoughts = false, Spinner? spinner = null)
{
    private const string Dim = "\e[2m";
    private const string Plain = "\e[0m";

    private readonly StringBuilder text = new();
    private readonly StringBuilder reasoning = new();
    private readonly List<int> ids = [];
    private readonly List<TokenLogProbs> logProbs = [];
    private bool thinking;

    public string Text => text.ToString();

    public string Reasoning => reasoning.ToString();

    public IReadOnlyList<int> Ids => ids;

    public IReadOnlyList<TokenLogProbs> LogProbs => logProbs;

    public IReadOnlyList<PromptToolCall> ToolCalls { get; private set; } = [];

    public FinishReason? FinishReason { get; private set; }

    public GenerationUsage? Usage { get; private set; }

    /// <summary>Shows and keeps every update; on an early end, too, the terminal is left in order. A reader that leaves ends it.</summary>
    public async Task ReadAsync(IAsyncEnumerable<GenerationUpdate> updates)
    {
        try
        {
            await foreach (GenerationUpdate update in updates.ConfigureAwait(false))
                Write(update);
        }
        finally
        {
            spinner?.Dispose();
            EndThoughts();
            if (!silent && text.Length > 0)
                terminal.Output.WriteLine();
            foreach (PromptToolCall call in silent ? [] : ToolCalls)
                terminal.Output.WriteLine(call.ToLine());
        }
    }

    /// <summary>The answer as an object; without usage it was stopped.</summary>
    public JsonObject ToJson() => new()
    {
        ["text"] = Text,
        ["reasoning"] = Reasoning,
        ["ids"] = ids.ToJson(),
        ["finish_reason"] = FinishReason switch
        {
            null => "stopped",
            QwenIlgpu.FinishReason.Length => "length",
            QwenIlgpu.FinishReason.ToolCalls => "tool_calls",
            _ => "stop",
        },
        ["usage"] = Usage?.ToJson(),
    };

    private void Write(GenerationUpdate update)
    {
        terminal.ThrowIfReaderHasLeft();
        ids.AddRange(update.TokenIds);
        logProbs.AddRange(update.LogProbs ?? []);
        (ToolCalls, FinishReason, Usage) = (update.ToolCalls, update.FinishReason, update.Usage);
        if (update.Text.Length == 0)
            return;
        if (update.Kind == TextKind.Reasoning)
        {
            reasoning.Append(update.Text);
            WriteThought(update.Text);
            return;
        }

        EndThoughts();
        text.Append(update.Text);
        spinner?.Dispose();
        if (!silent)
            terminal.Output.Write(update.Text);
    }

    private void WriteThought(string piece)
    {
        if (foldsThoughts && spinner is not null)
            spinner.Label = "thinking";
        if (silent || foldsThoughts)
            return;
        thinking = true;
        spinner?.Dispose();
        terminal.Error.Write(terminal.ShowsColors ? $"{Dim}{piece}{Plain}" : piece);
    }

    private void EndThoughts()
    {
        if (thinking)
            terminal.Error.WriteLine();
        thinking = false;
    }
}
