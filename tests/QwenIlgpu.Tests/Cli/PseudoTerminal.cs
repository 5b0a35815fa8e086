using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace QwenIlgpu.Tests.Cli;

/// <summary>A terminal for a process, seen from the side of its keyboard and screen.</summary>
internal sealed partial class PseudoTerminal : IDisposable
{
    private const int ReadWriteNoControl = 2 | 0x100;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly FileStream keyboardAndScreen;
    private readonly StringBuilder screen = new();
    private readonly Decoder decoder = Encoding.UTF8.GetDecoder();
    private int waitedFor;

    public PseudoTerminal()
    {
        int descriptor = Open(ReadWriteNoControl);
        if (descriptor < 0 || Grant(descriptor) != 0 || Unlock(descriptor) != 0)
            Assert.Ignore("there are no pseudo-terminals here");
        keyboardAndScreen = new FileStream(new SafeFileHandle(descriptor, ownsHandle: true), FileAccess.ReadWrite, bufferSize: 0);
        Path = Marshal.PtrToStringUTF8(Name(descriptor))!;
    }

    /// <summary>The device that the process opens.</summary>
    public string Path { get; }

    /// <summary>What has been read of the screen.</summary>
    public string Screen => screen.ToString();

    public void Type(string text) => keyboardAndScreen.Write(Encoding.UTF8.GetBytes(text));

    /// <summary>Everything that was written to the screen so far.</summary>
    public string Written => screen.ToString();

    /// <summary>Reads the screen until it shows a text behind the one that was waited for before.</summary>
    public void WaitFor(string text)
    {
        byte[] bytes = new byte[4096];
        char[] chars = new char[4096];
        int at;
        while ((at = Written.IndexOf(text, waitedFor, StringComparison.Ordinal)) < 0)
        {
            Task<int> reading = keyboardAndScreen.ReadAsync(bytes).AsTask();
            if (!reading.Wait(Patience))
                Assert.Fail($"the screen does not show '{text}': {Written}");
            screen.Append(chars, 0, decoder.GetChars(bytes, 0, reading.Result, chars, 0));
        }

        waitedFor = at + text.Length;
    }

    public void Dispose() => keyboardAndScreen.Dispose();

    [LibraryImport("libc", EntryPoint = "posix_openpt")]
    private static partial int Open(int flags);

    [LibraryImport("libc", EntryPoint = "grantpt")]
    private static partial int Grant(int descriptor);

    [LibraryImport("libc", EntryPoint = "unlockpt")]
    private static partial int Unlock(int descriptor);

    [LibraryImport("libc", EntryPoint = "ptsname")]
    private static partial nint Name(int descriptor);
}
