using System.Runtime.InteropServices;

namespace QwenIlgpu;

/// <summary>
/// Host memory by whole pages, zeros at first: what the CPU's weights and states lie in. On Linux it is mapped for itself, so that freeing it
/// gives it back to the system whatever else the process keeps, and in pages of 2 MiB where the system grants them: a stream over
/// gigabytes of weights else spends its time on the tables of 4 KiB pages.
/// </summary>
internal sealed unsafe partial class HostPages : IDisposable
{
    /// <summary>Smaller buffers are better off with the system's allocator.</summary>
    public const int LeastBytes = 1 << 20;

    private const nuint HugePageBytes = 2 << 20;

    private void* address;
    private readonly nuint bytes;

    /// <exception cref="InsufficientMemoryException">The system does not grant as much.</exception>
    public HostPages(long bytes)
    {
        this.bytes = ((nuint)bytes + HugePageBytes - 1) / HugePageBytes * HugePageBytes;
        if (!OperatingSystem.IsLinux())
        {
            address = NativeMemory.AlignedAlloc(this.bytes, HugePageBytes);
            NativeMemory.Clear(address, this.bytes);
            return;
        }

        // One huge page more than needed, of which both ends are given back: the rest starts at a multiple of its size.
        const int ReadWrite = 3;
        const int PrivateAnonymous = 0x22;
        nint mapped = Map(0, this.bytes + HugePageBytes, ReadWrite, PrivateAnonymous, -1, 0);
        if (mapped == -1)
            throw new InsufficientMemoryException($"{this.bytes} bytes of memory cannot be mapped: {Marshal.GetLastPInvokeErrorMessage()}");
        nuint start = ((nuint)mapped + HugePageBytes - 1) / HugePageBytes * HugePageBytes;
        nuint before = start - (nuint)mapped;
        if (before > 0)
            _ = Unmap(mapped, before);
        if (before < HugePageBytes)
            _ = Unmap((nint)(start + this.bytes), HugePageBytes - before);
        address = (void*)start;
        const int HugePages = 14;
        _ = Advise((nint)start, this.bytes, HugePages);          // a kernel without them keeps its small pages
    }

    public nint Address => (nint)address;

    public void Dispose()
    {
        if (address is null)
            return;
        if (OperatingSystem.IsLinux())
            _ = Unmap((nint)address, bytes);
        else
            NativeMemory.AlignedFree(address);
        address = null;
    }

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint address, nuint length, int advice);
}
