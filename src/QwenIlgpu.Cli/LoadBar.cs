using System.Diagnostics;
using System.Text;
using Spectre.Console;

namespace QwenIlgpu.Cli;

/// <summary>A progress bar on standard error while a model loads; nothing where that is no terminal that can redraw a line.</summary>
internal static class LoadBar
{
    public static async Task<QwenModel> RunAsync(Terminal terminal, Func<IProgress<LoadProgress>?, Task<QwenModel>> load)
    {
        if (!terminal.CanRedraw)
            return await load(null).ConfigureAwait(false);
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(new Canvas(terminal.Error)),
            Ansi = AnsiSupport.Yes,
            ColorSystem = terminal.ShowsColors ? ColorSystemSupport.EightBit : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.Yes,
        });
        console.Profile.Width = terminal.Width;
        return await console.Progress()
            .AutoClear(true)
            .AutoRefresh(false)   // its thread may start after the load has ended, and write where the command writes by then
            .Columns(
                new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new DownloadedColumn(),
                new RemainingTimeColumn())
            .StartAsync(context => load(new Bar(context, context.AddTask("loading weights")))).ConfigureAwait(false);
    }

    // A bar that cannot be drawn fails no load; the command's own next line meets the same stream.
    private sealed class Canvas(TextWriter writer) : TextWriter
    {
        public override Encoding Encoding => writer.Encoding;

        public override void Write(char value) => Write([value]);

        public override void Write(string? value) => Write(value.AsSpan());

        public override void Write(char[] buffer, int index, int count) => Write(buffer.AsSpan(index, count));

        public override void Write(ReadOnlySpan<char> buffer)
        {
            try
            {
                writer.Write(buffer.ToString());
            }
            catch (IOException)
            {
                // A bar less.
            }
        }
    }

    // Progress<T> would post to the thread pool, where reports overtake each other.
    private sealed class Bar(ProgressContext context, ProgressTask task) : IProgress<LoadProgress>
    {
        private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

        private readonly Lock drawing = new();
        private long drawnAt;

        public void Report(LoadProgress value)
        {
            lock (drawing)
            {
                task.MaxValue = Math.Max(value.TotalBytes, 1);
                task.Value = value.LoadedBytes;
                task.Description = Markup.Escape(value.Stage);
                if (drawnAt != 0 && Stopwatch.GetElapsedTime(drawnAt) < Interval)
                    return;
                drawnAt = Stopwatch.GetTimestamp();
                context.Refresh();
            }
        }
    }
}
