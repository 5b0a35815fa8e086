using System.Runtime.InteropServices;

namespace QwenIlgpu.Kernels;

/// <summary>What a path leads to once its links are followed.</summary>
internal enum FileKind
{
    Missing,
    Regular,
    Directory,
    CharacterDevice,
    BlockDevice,
    Fifo,
    Socket,
}

/// <summary>Tells the kinds of files apart without opening them: opening a FIFO waits for its other end.</summary>
internal static partial class FileKinds
{
    private const int CurrentDirectory = -100;
    private const uint TypeMask = 1;
    private const int ModeOffset = 28;
    private const int StatxBytes = 256;
    private const int NoSuchFile = 2;

    /// <summary>The kind of the file at a path. Elsewhere than on Linux whatever is no directory counts as a regular file.</summary>
    /// <exception cref="IOException">The path leads nowhere: a loop of links, a file used as a directory, a name that is too long.</exception>
    public static FileKind Of(string path)
    {
        if (path.Length == 0 || path.Contains('\0', StringComparison.Ordinal))
            throw new ArgumentException($"'{path}' is no file name; it must have characters, and none of them NUL");
        return OperatingSystem.IsLinux() ? OnLinux(path) : Directory.Exists(path) ? FileKind.Directory : File.Exists(path) ? FileKind.Regular : FileKind.Missing;
    }

    private static FileKind OnLinux(string path)
    {
        Span<byte> status = stackalloc byte[StatxBytes];
        if (Statx(CurrentDirectory, path, 0, TypeMask, status) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            return error == NoSuchFile ? FileKind.Missing : throw new IOException($"{path}: {Marshal.GetPInvokeErrorMessage(error)}", error);
        }

        return (MemoryMarshal.Read<ushort>(status[ModeOffset..]) & 0xf000) switch
        {
            0x8000 => FileKind.Regular,
            0x4000 => FileKind.Directory,
            0x2000 => FileKind.CharacterDevice,
            0x6000 => FileKind.BlockDevice,
            0x1000 => FileKind.Fifo,
            _ => FileKind.Socket,
        };
    }

    // The one call of this family whose result lies alike on every architecture.
    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int directory, string path, int flags, uint mask, Span<byte> status);
}
