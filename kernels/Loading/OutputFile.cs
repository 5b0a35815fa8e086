using System.Text;
using Microsoft.Win32.SafeHandles;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A file that someone names, opened before the work whose result it takes. A regular file appears, or is replaced, all at once when it is
/// complete: until then the bytes lie beside it under another name, and are dropped with that. Links are followed. A device that is written
/// like a stream and a FIFO are written to as they are; nothing else is.
/// </summary>
internal sealed class OutputFile : IDisposable
{
    private const int MostLinks = 40;

    private readonly string path;
    private readonly FileStream stream;

    // Where the complete file will lie, and where it lies until then; null for what is written to as it is.
    private readonly (string Path, string UnfinishedPath)? replaced;
    private bool completed;

    private OutputFile(string path, SafeFileHandle handle, (string Path, string UnfinishedPath)? replaced) =>
        (this.path, stream, this.replaced) = (path, new FileStream(handle, FileAccess.Write, bufferSize: 0), replaced);

    /// <summary>Opens a file to write. A FIFO waits here for its reader.</summary>
    /// <param name="path">The file.</param>
    /// <param name="mode">Who may do what with a regular file; null leaves that as it is, or as the system has it for a new one.</param>
    /// <exception cref="IOException">It is a directory or of a kind that is not written to, may not be written, or has no directory to lie in.</exception>
    public static OutputFile Create(string path, UnixFileMode? mode = null)
    {
        FileKind kind = FileKinds.Of(path);
        switch (kind)
        {
            case FileKind.Directory:
            case FileKind.Missing when Path.EndsInDirectorySeparator(path):
                throw new IOException($"{path} is a directory; the name of a file to write is expected");
            case FileKind.BlockDevice or FileKind.Socket:
                throw new IOException($"{path} is a {(kind == FileKind.Socket ? "socket" : "block device")}; a file, a FIFO or a device such as /dev/null is expected");
            case FileKind.CharacterDevice or FileKind.Fifo:
                return new OutputFile(path, Open(path, path, FileMode.Open), null);
            default:
                // What stands behind a number of a process, such as /dev/stdout, is added to: it belongs to whoever opened it.
                return TargetOf(path) is { } target ? Replace(path, target, mode) : new OutputFile(path, Open(path, path, FileMode.Append), null);
        }
    }

    /// <summary>As <see cref="Create"/>, but a FIFO's reader is not waited for once that is cancelled.</summary>
    public static Task<OutputFile> CreateAsync(string path, CancellationToken cancellation) => FileKinds.Of(path) == FileKind.Fifo
        ? Task.Run(() => Create(path), cancellation).WaitAsync(cancellation)
        : Task.FromResult(Create(path));

    /// <summary>Writes a file whose text is at hand.</summary>
    /// <param name="path">The file.</param>
    /// <param name="text">What it will hold, in UTF-8.</param>
    /// <param name="survivesPowerLoss">Whether to wait until the disk has it.</param>
    public static void WriteText(string path, string text, bool survivesPowerLoss = true)
    {
        using OutputFile file = Create(path);
        file.Write(Encoding.UTF8.GetBytes(text));
        file.Complete(survivesPowerLoss);
    }

    /// <summary>Writes the next bytes.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        try
        {
            stream.Write(bytes);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failure(path, e);
        }
    }

    /// <summary>Closes the file and gives it its name.</summary>
    public void Complete(bool survivesPowerLoss = true)
    {
        if (replaced is { } to)
        {
            try
            {
                if (survivesPowerLoss)
                    stream.Flush(flushToDisk: true);
                if (FileKinds.Of(to.Path) is not (FileKind.Missing or FileKind.Regular))
                    throw new IOException("it has become something else than a file");
                stream.Dispose();
                File.Move(to.UnfinishedPath, to.Path, overwrite: true);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw Failure(path, e);
            }
        }

        completed = true;
        stream.Dispose();
    }

    /// <summary>Drops what was written unless it is complete.</summary>
    public void Dispose()
    {
        stream.Dispose();
        if (!completed && replaced is { } to)
            File.Delete(to.UnfinishedPath);
    }

    /// <summary>
    /// The path that a path leads to, walked as the system does, so that <c>..</c> is where a link leads and not where it stands; the last
    /// part may be missing. Null where a link is a process's number for an open file, which has no name to trust.
    /// </summary>
    public static string? TargetOf(string path)
    {
        string full = Path.Combine(Environment.CurrentDirectory, path);
        if (OperatingSystem.IsWindows())
            return File.ResolveLinkTarget(full, returnFinalTarget: true)?.FullName ?? Path.GetFullPath(full);
        string walked = "/";
        var ahead = new Stack<string>(full.Split('/').Reverse());
        for (int links = 0; ahead.TryPop(out string? part);)
        {
            if (part is "" or ".")
                continue;
            string next = part == ".." ? Path.GetDirectoryName(walked) ?? walked : Path.Join(walked, part);
            if (part == ".." || new FileInfo(next).LinkTarget is not { } link)
            {
                walked = next;
                continue;
            }

            if (next.StartsWith("/proc/", StringComparison.Ordinal) && Path.GetFileName(walked) == "fd")
                return null;
            if (++links > MostLinks)
                throw new IOException($"{path}: more than {MostLinks} links");
            walked = Path.IsPathRooted(link) ? "/" : walked;
            foreach (string piece in link.Split('/').Reverse())
                ahead.Push(piece);
        }

        return walked;
    }

    private static OutputFile Replace(string path, string target, UnixFileMode? mode)
    {
        string directory = Path.GetDirectoryName(target)!;
        if (FileKinds.Of(directory) != FileKind.Directory)
            throw new DirectoryNotFoundException($"{path}: there is no directory {directory}; make it first, or name a file in another");
        if (FileKinds.Of(target) == FileKind.Regular)
        {
            Open(path, target, FileMode.Open).Dispose();
            if (!OperatingSystem.IsWindows())
                mode ??= File.GetUnixFileMode(target);
        }

        string unfinished = Path.Join(directory, $".{Guid.NewGuid():N}.unfinished");
        var file = new OutputFile(path, Open(path, unfinished, FileMode.CreateNew), (target, unfinished));
        try
        {
            if (mode is { } kept && !OperatingSystem.IsWindows())
                File.SetUnixFileMode(file.stream.SafeFileHandle, kept);
            return file;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            file.Dispose();
            throw Failure(path, e);
        }
    }

    private static SafeFileHandle Open(string path, string opened, FileMode mode)
    {
        try
        {
            return File.OpenHandle(opened, mode, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failure(path, e);
        }
    }

    // The runtime's messages name the file under its other name, behind " : ".
    private static IOException Failure(string path, Exception error)
    {
        Exception cause = error.InnerException ?? error;
        return new IOException($"{path} cannot be written: {cause.Message.Split(" : ")[0]}", cause.HResult);
    }
}
