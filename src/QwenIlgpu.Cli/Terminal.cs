using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using QwenIlgpu.Cli.Chat;

namespace QwenIlgpu.Cli;

/// <summary>Where the commands read and write, and how Ctrl-C reaches them. Results go to Output, everything else to Error.</summary>
internal sealed class Terminal(TextReader input, TextWriter output, TextWriter error) : IDisposable
{
    private readonly Lock gate = new();
    private readonly List<string> heldNotices = [];
    private bool noticesShown;
    private PosixSignalRegistration? signal;

    public TextReader Input { get; } = input;

    public TextWriter Output { get; } = output;

    public TextWriter Error { get; } = error;

    public bool InputIsTerminal { get; init; }

    public bool OutputIsTerminal { get; init; }

    public bool ErrorIsTerminal { get; init; }

    /// <summary>Columns of a line.</summary>
    public int Width { get; init; } = TerminalSettings.DefaultWidth;

    /// <summary>A terminal that only shows what it is sent: it can neither colour nor go back in a line.</summary>
    public bool IsDumb { get; init; }

    /// <summary>Whether Error may be coloured; null where that is left to what Error is.</summary>
    public bool? Colors { get; set; }

    /// <summary>Whether what goes to Error is coloured.</summary>
    public bool ShowsColors => Colors ?? (ErrorIsTerminal && !IsDumb);

    /// <summary>Whether a line of Error can be drawn over.</summary>
    public bool CanRedraw => ErrorIsTerminal && !IsDumb;

    /// <summary>Where keys can be read one by one, and lines so edited; null where Input or Output is no such terminal.</summary>
    public Keyboard? Keyboard { get; init; }

    /// <summary>Where a chat keeps what was typed; null where it is forgotten.</summary>
    public string? HistoryFile { get; init; }

    /// <summary>Why no command can run here, or null: a stream for what it has to say is closed.</summary>
    public string? Refusal { get; init; }

    /// <summary>Whether the reader of Output has left, which else only the next write would tell.</summary>
    public Func<bool> HasReaderLeft { get; init; } = () => false;

    public Interrupts Interrupts { get; } = new();

    /// <summary>The process's own streams, as UTF-8 whatever the locale says.</summary>
    public static Terminal OfProcess()
    {
        Terminal terminal = OperatingSystem.IsWindows() ? OfConsole() : OfDescriptors();

        // A second Ctrl-C, which nobody takes, ends the process the hard way.
        terminal.signal = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => context.Cancel = terminal.Interrupts.Raise());
        return terminal;
    }

    /// <summary>
    /// One line of news for people. Where nobody watches it is held until the command has succeeded or <see cref="ShowNotices"/> is called,
    /// as a command that fails says one thing only.
    /// </summary>
    public void Note(string message)
    {
        lock (gate)
        {
            if (noticesShown || ErrorIsTerminal)
                Error.WriteLine(Line(message));
            else
                heldNotices.Add(message);
        }
    }

    /// <summary>One line for whoever is talking here: shown at once, behind what was held.</summary>
    public void Tell(string message)
    {
        ShowNotices();
        Note(message);
    }

    /// <summary>Shows the news that are held, and from now on all at once.</summary>
    public void ShowNotices()
    {
        lock (gate)
        {
            noticesShown = true;
            foreach (string notice in heldNotices)
                Error.WriteLine(Line(notice));
            heldNotices.Clear();
        }
    }

    /// <summary>The one line of a command that fails. Where it cannot be written nobody can be told that either.</summary>
    public void Fail(string message, string? details = null) =>
        WriteLast(details is null ? Line(message) : Line(message) + Error.NewLine + details);

    /// <summary>The same as one JSON object.</summary>
    public void Fail(JsonObject error) => WriteLast(JsonOutput.LineOf(error));

    /// <summary>Throws what the next write would once the reader of Output has left.</summary>
    public void ThrowIfReaderHasLeft()
    {
        if (HasReaderLeft())
            throw DescriptorStream.ReaderLeft("standard output");
    }

    public void Dispose() => signal?.Dispose();

    private void WriteLast(string text)
    {
        try
        {
            Error.WriteLine(text);
        }
        catch (IOException)
        {
            // The exit code says it.
        }
    }

    // Names and texts of others may hold anything: a line stays one line, and no control character reaches a terminal.
    private static string Line(string message)
    {
        var line = new StringBuilder("qwen: ");
        foreach (char c in message.TrimEnd())
        {
            if (char.IsControl(c) || c is '\u2028' or '\u2029')
                line.Append(c switch { '\n' => "\\n", '\r' => "\\r", '\t' => "\\t", _ => $"\\u{(int)c:x4}" });
            else
                line.Append(c);
        }

        return line.ToString();
    }

    private static Terminal OfConsole()
    {
        Console.OutputEncoding = Console.InputEncoding = Encoding.UTF8;
        return Of(Console.OpenStandardInput(), Console.OpenStandardOutput(), Console.OpenStandardError(), () => false, null);
    }

    private static Terminal OfDescriptors()
    {
        bool reads = DescriptorStream.Reserve(DescriptorStream.StandardInput);
        bool prints = DescriptorStream.Reserve(DescriptorStream.StandardOutput);
        bool tells = DescriptorStream.Reserve(DescriptorStream.StandardError);
        Stream Opened(bool isOpen, int descriptor, string name) => isOpen ? new DescriptorStream(descriptor, name) : Stream.Null;
        string? refusal = !tells ? "standard error is closed; 2> /dev/null discards what is told"
            : !prints ? "standard output is closed; > /dev/null discards what is printed" : null;
        return Of(
            Opened(reads, DescriptorStream.StandardInput, "standard input"),
            Opened(prints, DescriptorStream.StandardOutput, "standard output"),
            Opened(tells, DescriptorStream.StandardError, "standard error"),
            () => DescriptorStream.HasReaderLeft(DescriptorStream.StandardOutput), refusal);
    }

    private static Terminal Of(Stream input, Stream output, Stream error, Func<bool> hasReaderLeft, string? refusal)
    {
        var utf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
        var settings = TerminalSettings.Of(Environment.GetEnvironmentVariable, TerminalSettings.WidthOfProcess());
        bool editsLines = !OperatingSystem.IsWindows() && !Console.IsInputRedirected && !Console.IsOutputRedirected && !settings.IsDumb;
        return new Terminal(
            new StreamReader(input, utf8),
            TextWriter.Synchronized(new StreamWriter(output, utf8) { AutoFlush = true }),
            TextWriter.Synchronized(new StreamWriter(error, utf8) { AutoFlush = true }))
        {
            InputIsTerminal = !Console.IsInputRedirected,
            OutputIsTerminal = !Console.IsOutputRedirected,
            ErrorIsTerminal = !Console.IsErrorRedirected,
            Width = settings.Width,
            IsDumb = settings.IsDumb,
            Colors = settings.Colors,
            Keyboard = editsLines ? Keyboard.OfProcess() : null,
            HistoryFile = StateDirectory.Of(Environment.GetEnvironmentVariable("XDG_STATE_HOME")) is { } folder
                ? Path.Combine(folder, "chat-history") : null,
            HasReaderLeft = hasReaderLeft,
            Refusal = refusal,
        };
    }
}
