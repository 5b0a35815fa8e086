using System.Runtime.Versioning;
using System.Text;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cli.Chat;

/// <summary>
/// Lines that were typed before, in a file that only their user can read. A line that begins with a blank is not kept. A file that cannot
/// be read or written costs the memory of it, not the chat.
/// </summary>
internal sealed class History
{
    /// <summary>Most lines that are kept, the newest.</summary>
    public const int MostEntries = 1000;

    /// <summary>Longest text that is kept.</summary>
    public const int MostCharacters = 10_000;

    private const UnixFileMode OfUser = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly List<string> entries = [];
    private readonly Action<string> notice;
    private string? file;

    private History(string? file, Action<string> notice) => (this.file, this.notice) = (file, notice);

    /// <summary>Oldest first.</summary>
    public IReadOnlyList<string> Entries => entries;

    /// <summary>The lines of a file, which is made when there is one to keep; null for a history that ends with the process.</summary>
    public static History Open(string? file, Action<string> notice)
    {
        var history = new History(file, notice);
        history.Guard(history.Load);
        return history;
    }

    /// <summary>Keeps a text, unless it is blank, the same as the last one, too long or begins with a blank.</summary>
    public void Add(string text)
    {
        if (text.Length is 0 or > MostCharacters || char.IsWhiteSpace(text[0]) || entries is [.., var last] && last == text)
            return;
        entries.Add(text);
        Guard(path => Write(path, FileMode.Append, [text]));
    }

    private void Load(string path)
    {
        FileKind kind = FileKinds.Of(path);
        if (kind == FileKind.Missing)
            return;
        if (kind != FileKind.Regular)
            throw new IOException("it is no regular file");
        if (!OperatingSystem.IsWindows() && File.GetUnixFileMode(path) != OfUser)
            File.SetUnixFileMode(path, OfUser);
        string[] lines = File.ReadAllLines(path);
        entries.AddRange(lines.TakeLast(MostEntries).Select(Decoded).Where(l => l.Length is > 0 and <= MostCharacters));
        if (lines.Length > MostEntries)
            Shorten(path);
    }

    private void Shorten(string path)
    {
        string unfinished = $"{path}.{Guid.NewGuid():N}.unfinished";
        Write(unfinished, FileMode.CreateNew, entries);
        File.Move(unfinished, path, overwrite: true);
    }

    private static void Write(string path, FileMode mode, IEnumerable<string> texts)
    {
        if (!OperatingSystem.IsWindows())
            CreateDirectoryOfUser(Path.GetDirectoryName(path)!);
        var options = new FileStreamOptions { Mode = mode, Access = FileAccess.Write, Share = FileShare.ReadWrite, BufferSize = 0 };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = OfUser;
        using var stream = new FileStream(path, options);
        stream.Write(Encoding.UTF8.GetBytes(string.Concat(texts.Select(t => Encoded(t) + "\n"))));
    }

    [UnsupportedOSPlatform("windows")]
    private static void CreateDirectoryOfUser(string directory) => Directory.CreateDirectory(directory, OfUser | UnixFileMode.UserExecute);

    private void Guard(Action<string> action)
    {
        if (file is not { } path)
            return;
        try
        {
            action(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            file = null;
            notice($"what is typed is not kept: {path}: {e.Message}");
        }
    }

    private static string Encoded(string text) =>
        text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);

    private static string Decoded(string line)
    {
        var text = new StringBuilder();
        for (int i = 0; i < line.Length; i++)
        {
            bool escaped = line[i] == '\\' && i + 1 < line.Length;
            text.Append(!escaped ? line[i] : line[++i] == 'n' ? '\n' : line[i]);
        }

        return KeyReader.Printable(text.ToString());
    }
}

/// <summary>Where what a user would miss between runs is kept: <c>qwenilgpu</c> in the user's state folder.</summary>
internal static class StateDirectory
{
    private const string Below = "qwenilgpu";

    /// <summary>
    /// Under <c>$XDG_STATE_HOME</c> where it is set and absolute, as its specification asks; else under <c>~/.local/state</c>, on Windows
    /// <c>%LOCALAPPDATA%</c>. Null where the user has none.
    /// </summary>
    public static string? Of(string? xdgStateHome)
    {
        if (Path.IsPathFullyQualified(xdgStateHome ?? ""))
            return Path.Combine(xdgStateHome!, Below);
        Environment.SpecialFolder kind = OperatingSystem.IsWindows()
            ? Environment.SpecialFolder.LocalApplicationData : Environment.SpecialFolder.UserProfile;
        string folder = Environment.GetFolderPath(kind, Environment.SpecialFolderOption.DoNotVerify);
        if (folder.Length == 0)
            return null;
        return OperatingSystem.IsWindows() ? Path.Combine(folder, Below) : Path.Combine(folder, ".local", "state", Below);
    }
}
