using System.Runtime.InteropServices;

namespace QwenIlgpu.Cli;

/// <summary>
/// A standard stream of a process on Unix, by its number. The runtime's own streams take a reader that has left for one that reads on,
/// and remember positions that other processes move.
/// </summary>
internal sealed partial class DescriptorStream(int descriptor, string name) : Stream
{
    public const int StandardInput = 0;
    public const int StandardOutput = 1;
    public const int StandardError = 2;

    // Errors, commands and events, the same on Linux and macOS.
    private const int Interrupted = 4;
    private const int BrokenPipe = 32;
    private const int ReadWrite = 2;
    private const int GetDescriptorFlags = 1;
    private const int CloseOnExec = 1;
    private const short Readable = 1;
    private const short Writable = 4;
    private const short FailedOrHungUp = 8 | 16;
    private static readonly int TryAgain = OperatingSystem.IsMacOS() ? 35 : 11;

    public override bool CanRead => descriptor == StandardInput;

    public override bool CanWrite => descriptor != StandardInput;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>
    /// Keeps a stream's number from files, and says whether the process was started with the stream. A number that is free gets /dev/null;
    /// what closes on exec was not handed down but is the runtime's own, and is left alone.
    /// </summary>
    public static bool Reserve(int descriptor)
    {
        int flags = GetFlags(descriptor, GetDescriptorFlags);
        if (flags < 0)
            _ = Open("/dev/null", ReadWrite);
        return flags >= 0 && (flags & CloseOnExec) == 0;
    }

    /// <summary>Whether nobody will ever read what is written: a pipe's reader has left.</summary>
    public static bool HasReaderLeft(int descriptor)
    {
        var poll = new PollDescriptor(descriptor, 0);
        return Poll(ref poll, 1, 0) > 0 && (poll.Returned & FailedOrHungUp) != 0;
    }

    /// <summary>What a write to a pipe throws once its reader has left.</summary>
    public static IOException ReaderLeft(string name) => Failure(name, BrokenPipe);

    /// <summary>Whether an error says that the reader of a pipe has left.</summary>
    public static bool IsReaderLeft(Exception error) => error is IOException { HResult: BrokenPipe };

    public override int Read(Span<byte> buffer)
    {
        while (true)
        {
            nint count = Read(descriptor, ref MemoryMarshal.GetReference(buffer), (nuint)buffer.Length);
            if (count >= 0)
                return (int)count;
            ThrowUnlessTransient(Readable);
        }
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            nint count = Write(descriptor, in MemoryMarshal.GetReference(buffer), (nuint)buffer.Length);
            if (count >= 0)
                buffer = buffer[(int)count..];
            else
                ThrowUnlessTransient(Writable);
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    // A stream that another process has set not to block is waited for.
    private void ThrowUnlessTransient(short awaited)
    {
        int error = Marshal.GetLastPInvokeError();
        var poll = new PollDescriptor(descriptor, awaited);
        if (error == TryAgain)
            _ = Poll(ref poll, 1, -1);
        else if (error != Interrupted)
            throw Failure(name, error);
    }

    private static IOException Failure(string name, int error) => new($"{name}: {Marshal.GetPInvokeErrorMessage(error)}", error);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint Read(int descriptor, ref byte buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(int descriptor, in byte buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "fcntl")]
    private static partial int GetFlags(int descriptor, int command);

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "poll")]
    private static partial int Poll(ref PollDescriptor descriptor, nuint count, int timeoutMilliseconds);

    [StructLayout(LayoutKind.Sequential)]
    private struct PollDescriptor(int descriptor, short awaited)
    {
        public int Descriptor = descriptor;
        public short Awaited = awaited;
        public short Returned;
    }
}
