using Spectre.Console;

namespace QwenIlgpu.Cli;

/// <summary>A progress bar on standard error while a model loads; nothing where that is no terminal.</summary>
internal static class LoadBar
{
    public static async Task<QwenModel> RunAsync(Terminal terminal, Func<IProgress<LoadProgress>?, Task<QwenModel>> load)
    {
        if (!terminal.ErrorIsTerminal)
            return await load(null).ConfigureAwait(false);
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(terminal.Error),
            Ansi = AnsiSupport.Yes,
            Interactive = InteractionSupport.Yes,
        });
        return await console.Progress()
            .AutoClear(true)
            .Columns(
                new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new DownloadedColumn(),
                new RemainingTimeColumn())
            .StartAsync(context => load(new Bar(context.AddTask("loading weights")))).ConfigureAwait(false);
    }

    // Progress<T> would post to the thread pool, where reports overtake each other.
    private sealed class Bar(ProgressTask task) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value)
        {
            task.MaxValue = Math.Max(value.TotalBytes, 1);
            task.Value = value.LoadedBytes;
            task.Description = Markup.Escape(value.Stage);
        }
    }
}
