using System.Runtime.InteropServices;

namespace QwenIlgpu.Cli.Chat;

/// <summary>A terminal whose keys can be read one by one: what they send, the mode in which they come at once, and its window.</summary>
/// <param name="Input">The bytes that keys send, UTF-8.</param>
/// <param name="EnterRaw">Has every key sent at once and unseen until the result is disposed.</param>
/// <param name="WindowSize">Columns and rows of the window.</param>
internal sealed record Keyboard(Stream Input, Func<IDisposable> EnterRaw, Func<(int Columns, int Rows)> WindowSize)
{
    private const int DefaultRows = 24;

    /// <summary>The keyboard on a process's standard input, on Unix.</summary>
    public static Keyboard OfProcess() => new(
        new DescriptorStream(DescriptorStream.StandardInput, "standard input"),
        () => new RawMode(DescriptorStream.StandardInput),
        WindowOfProcess);

    // A terminal on a serial line, or one without a window, says zero.
    private static (int Columns, int Rows) WindowOfProcess()
    {
        (int columns, int rows) = OperatingSystem.IsLinux()
            ? TerminalSettings.WindowOf(DescriptorStream.StandardOutput) ?? default : (Console.WindowWidth, Console.WindowHeight);
        return (columns > 0 ? columns : TerminalSettings.DefaultWidth, rows > 0 ? rows : DefaultRows);
    }
}

/// <summary>A terminal that hands over each key at once, without echo or signals, as long as this lives.</summary>
internal sealed partial class RawMode : IDisposable
{
    // Larger than any system's termios, whose fields lie differently on each: only the system's own functions look into it.
    private const int TermiosBytes = 256;
    private const int OnceWritten = 1;

    private readonly int descriptor;
    private readonly byte[] before = new byte[TermiosBytes];
    private readonly PosixSignalRegistration terminated;

    public RawMode(int descriptor)
    {
        this.descriptor = descriptor;
        if (GetAttributes(descriptor, before) != 0)
            throw new IOException($"the terminal's mode cannot be read: {Marshal.GetLastPInvokeErrorMessage()}");
        byte[] raw = [.. before];
        MakeRaw(raw);
        if (SetAttributes(descriptor, OnceWritten, raw) != 0)
            throw new IOException($"the terminal's mode cannot be set: {Marshal.GetLastPInvokeErrorMessage()}");

        // A process that is told to end does so without coming back here.
        terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, _ => Restore());
    }

    public void Dispose()
    {
        terminated.Dispose();
        Restore();
    }

    private void Restore() => _ = SetAttributes(descriptor, OnceWritten, before);

    [LibraryImport("libc", EntryPoint = "tcgetattr", SetLastError = true)]
    private static partial int GetAttributes(int descriptor, byte[] termios);

    [LibraryImport("libc", EntryPoint = "tcsetattr", SetLastError = true)]
    private static partial int SetAttributes(int descriptor, int when, byte[] termios);

    [LibraryImport("libc", EntryPoint = "cfmakeraw")]
    private static partial void MakeRaw(byte[] termios);
}
