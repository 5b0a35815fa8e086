using System.Runtime.InteropServices;
using System.Text;

namespace QwenIlgpu.Cli;

/// <summary>Where the commands read and write, and how Ctrl-C reaches them. Results go to Output, everything else to Error.</summary>
internal sealed class Terminal(TextReader input, TextWriter output, TextWriter error) : IDisposable
{
    private PosixSignalRegistration? signal;

    public TextReader Input { get; } = input;

    public TextWriter Output { get; } = output;

    public TextWriter Error { get; } = error;

    public bool InputIsTerminal { get; init; }

    public bool OutputIsTerminal { get; init; }

    public bool ErrorIsTerminal { get; init; }

    public Interrupts Interrupts { get; } = new();

    /// <summary>The process's own streams, as UTF-8 whatever the locale says.</summary>
    public static Terminal OfProcess()
    {
        if (OperatingSystem.IsWindows())
            Console.OutputEncoding = Console.InputEncoding = Encoding.UTF8;
        var utf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
        var terminal = new Terminal(
            new StreamReader(Console.OpenStandardInput(), utf8),
            new StreamWriter(Console.OpenStandardOutput(), utf8) { AutoFlush = true },
            new StreamWriter(Console.OpenStandardError(), utf8) { AutoFlush = true })
        {
            InputIsTerminal = !Console.IsInputRedirected,
            OutputIsTerminal = !Console.IsOutputRedirected,
            ErrorIsTerminal = !Console.IsErrorRedirected,
        };

        // A second Ctrl-C, which nobody takes, ends the process the hard way.
        terminal.signal = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => context.Cancel = terminal.Interrupts.Raise());
        return terminal;
    }

    /// <summary>One line of news for people.</summary>
    public void Note(string message) => Error.WriteLine($"qwen: {message}");

    public void Dispose()
    {
        signal?.Dispose();
        Output.Flush();
        Error.Flush();
    }
}
