using System.Text;
using System.Text.Unicode;
using Microsoft.Win32.SafeHandles;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Opens the files of a checkpoint. Only regular files are opened, through links or not: a pipe or a device could keep the reader waiting
/// or never end. What is known to be another file than it should be is refused by what it is.
/// </summary>
internal static class CheckpointFile
{
    private const int PrefixBytes = 1024;

    /// <summary>Whether anything lies at the path, be it no file or a link to nothing: opening it says so.</summary>
    public static bool Exists(string path) => Path.Exists(path);

    /// <summary>Whether an exception says that a file is at fault: it cannot be read, is damaged, or holds a variant that is not supported.</summary>
    public static bool IsFault(Exception error) => error is IOException or UnauthorizedAccessException or InvalidDataException or NotSupportedException;

    /// <summary>Opens a regular file to be read.</summary>
    public static SafeFileHandle Open(string path)
    {
        if (Kind(path) is { } kind)
            throw new InvalidDataException($"{path}: is {kind}, a regular file is expected");
        try
        {
            return File.OpenHandle(path);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException && new FileInfo(path).LinkTarget is not null)
        {
            throw new FileNotFoundException($"{path}: is a link to {new FileInfo(path).LinkTarget}, which is not there", path, error);
        }
    }

    /// <summary>The UTF-8 text of a file of at most <paramref name="maxBytes"/>, without a byte-order mark.</summary>
    public static byte[] ReadText(string path, long maxBytes)
    {
        using SafeFileHandle handle = Open(path);
        long length = RandomAccess.GetLength(handle);
        if (length > maxBytes)
            throw new InvalidDataException($"{path}: is {length} bytes long, at most {maxBytes} are read");

        byte[] text = new byte[length];
        int filled = ReadAt(handle, 0, text);
        if (filled < length)
            throw new InvalidDataException($"{path}: ends at byte {filled} of {length} while it is read");
        RefuseStandIns(path, text);
        if (text.AsSpan().StartsWith(Encoding.UTF8.Preamble))
            text = text[Encoding.UTF8.Preamble.Length..];
        else if (IsUtf16(text))
            throw new InvalidDataException($"{path}: is UTF-16 text, UTF-8 is expected");
        return Utf8.IsValid(text) ? text : throw new InvalidDataException($"{path}: its text is not valid UTF-8");
    }

    /// <summary>Fills the destination from the offset on; returns how many bytes the file had.</summary>
    public static int ReadAt(SafeFileHandle handle, long offset, Span<byte> destination)
    {
        int filled = 0;
        while (filled < destination.Length)
        {
            // One call may return fewer bytes than asked for; none at all means the end.
            int read = RandomAccess.Read(handle, destination[filled..], offset + filled);
            if (read == 0)
                break;
            filled += read;
        }

        return filled;
    }

    /// <summary>Refuses a binary file that begins as a text does, by what the text is.</summary>
    public static void RefuseText(string path, SafeFileHandle handle)
    {
        Span<byte> prefix = stackalloc byte[PrefixBytes];
        prefix = prefix[..ReadAt(handle, 0, prefix)];
        RefuseStandIns(path, prefix);
        if (prefix.Length >= 8 && !prefix[..8].ContainsAnyExceptInRange((byte)' ', (byte)'~'))
        {
            string shown = JsonText.Shown(Encoding.UTF8.GetString(prefix[..Math.Min(60, prefix.Length)]));
            throw new InvalidDataException($"{path}: is a text that begins \"{shown}\", not a safetensors file");
        }
    }

    // What a download leaves in a file's place.
    private static void RefuseStandIns(string path, ReadOnlySpan<byte> text)
    {
        if (text.StartsWith("version https://git-lfs.github.com/"u8))
            throw new InvalidDataException($"{path}: is a Git LFS pointer; run git lfs pull to fetch the file itself");
        string start = Encoding.Latin1.GetString(text[..Math.Min(64, text.Length)]).TrimStart('\u00ef', '\u00bb', '\u00bf', ' ', '\t', '\r', '\n');
        if (start.StartsWith("<!doctype", StringComparison.OrdinalIgnoreCase) || start.StartsWith("<html", StringComparison.OrdinalIgnoreCase))
            throw new InvalidDataException($"{path}: is an HTML page, perhaps a download's error message; fetch the file again");
    }

    private static bool IsUtf16(ReadOnlySpan<byte> text) =>
        text is [0xFF, 0xFE, ..] or [0xFE, 0xFF, ..] or [0, not 0, 0, not 0, ..] or [not 0, 0, not 0, 0, ..];

    // Null for a regular file and for none at all.
    private static string? Kind(string path) => FileKinds.Of(path) switch
    {
        FileKind.Regular or FileKind.Missing => null,
        FileKind.Directory => "a directory",
        FileKind.CharacterDevice => "a character device",
        FileKind.BlockDevice => "a block device",
        FileKind.Fifo => "a named pipe",
        _ => "a socket",
    };
}
