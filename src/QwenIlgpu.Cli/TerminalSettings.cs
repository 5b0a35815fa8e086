using System.Runtime.InteropServices;

namespace QwenIlgpu.Cli;

/// <summary>What the environment says of a terminal.</summary>
/// <param name="Width">Columns of a line.</param>
/// <param name="IsDumb">TERM is dumb.</param>
/// <param name="Colors">False where NO_COLOR is set, else null.</param>
internal sealed partial record TerminalSettings(int Width, bool IsDumb, bool? Colors)
{
    /// <summary>Columns where there is no terminal to ask.</summary>
    public const int DefaultWidth = 80;

    private const int LeastWidth = 40;
    private const int MostWidth = 200;

    // TIOCGWINSZ of Linux.
    private const nuint GetWindowSize = 0x5413;

    /// <summary>COLUMNS goes before the width that the terminal itself tells.</summary>
    public static TerminalSettings Of(Func<string, string?> variable, int? width) => new(
        Math.Clamp(NumberOption.Parse<int>(variable("COLUMNS") ?? "") ?? width ?? DefaultWidth, LeastWidth, MostWidth),
        variable("TERM") == "dumb",
        string.IsNullOrEmpty(variable("NO_COLOR")) ? null : false);

    /// <summary>
    /// The width of the terminal that is written to, or null. <see cref="Console"/> would tell it on Unix too, but sends the terminal a
    /// mode first.
    /// </summary>
    public static int? WidthOfProcess()
    {
        if (OperatingSystem.IsLinux())
            return (WindowOf(DescriptorStream.StandardOutput) ?? WindowOf(DescriptorStream.StandardError))?.Columns;
        return OperatingSystem.IsWindows() && !Console.IsOutputRedirected ? Console.WindowWidth : null;
    }

    /// <summary>The window of a terminal on Linux; null where it has none, or is no terminal.</summary>
    public static (int Columns, int Rows)? WindowOf(int descriptor)
    {
        var size = default(WindowSize);
        return Control(descriptor, GetWindowSize, ref size) == 0 && size.Columns > 0 ? (size.Columns, size.Rows) : null;
    }

    [LibraryImport("libc", EntryPoint = "ioctl")]
    private static partial int Control(int descriptor, nuint request, ref WindowSize size);

    [StructLayout(LayoutKind.Sequential)]
    private struct WindowSize
    {
        public ushort Rows;
        public ushort Columns;
        public ushort PixelWidth;
        public ushort PixelHeight;
    }
}
