namespace QwenIlgpu.Cli.Chat;

/// <summary>
/// Turns in an answer's place until the answer comes, and says how much of a long prompt has gone into the model. What is quicker than one
/// turn shows nothing.
/// </summary>
internal sealed class Spinner : IProgress<PromptProgress>, IDisposable
{
    private const string Frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";
    private static readonly TimeSpan Turn = TimeSpan.FromMilliseconds(120);

    private readonly Lock gate = new();
    private readonly TextWriter screen;
    private readonly Timer timer;
    private int turns;
    private bool ended;

    public Spinner(TextWriter screen)
    {
        this.screen = screen;
        timer = new Timer(_ => Draw(), null, Turn, Turn);
    }

    /// <summary>What stands beside it.</summary>
    public string Label { get; set; } = "";

    /// <summary>From the engine's thread.</summary>
    public void Report(PromptProgress value) => Label = PromptLine.Text(value);

    /// <summary>Shows the next turn.</summary>
    internal void Draw()
    {
        lock (gate)
        {
            if (ended)
                return;
            try
            {
                screen.Write($"\r{Frames[turns++ % Frames.Length]} {Label}\e[K");
            }
            catch (IOException)
            {
                // The answer meets the same stream and ends with it.
                ended = true;
            }
        }
    }

    /// <summary>Leaves the line as it was; nothing is drawn from now on.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            if (!ended && turns > 0)
                screen.Write("\r\e[K");
            ended = true;
        }

        timer.Dispose();
    }
}
