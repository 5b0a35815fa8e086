using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>
/// The machine's global memory: allocations of this process, whose addresses are the device's, with a note of which bytes have ever been
/// written. Fresh memory, if not more than 1 GiB, is full of ones: NaN in every float type.
/// </summary>
public sealed unsafe class DeviceMemory : IDisposable
{
    private const int AlignmentBytes = 256;
    private const byte Fresh = 0xff;

    // Beyond it memory may be meant for nobody to fill: the system gives it page by page.
    private const long LargestPoisoned = 1L << 30;

    private readonly Lock gate = new();
    private readonly SortedList<ulong, Allocation> allocations = [];

    public void Dispose()
    {
        lock (gate)
        {
            foreach (Allocation allocation in allocations.Values)
                Release(allocation);
            allocations.Clear();
        }
    }

    /// <summary>New memory, aligned to 256 bytes, that nothing has written.</summary>
    public nint Allocate(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        void* start = NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 1), AlignmentBytes);
        if (bytes <= LargestPoisoned)
            NativeMemory.Fill(start, (nuint)bytes, Fresh);
        lock (gate)
            allocations.Add((ulong)start, new Allocation((ulong)start, bytes));
        return (nint)start;
    }

    /// <exception cref="ArgumentException">Nothing was allocated there.</exception>
    public void Free(nint address)
    {
        lock (gate)
        {
            if (!allocations.Remove((ulong)address, out Allocation? allocation))
                throw new ArgumentException($"no allocation starts at 0x{address:x}");
            Release(allocation);
        }
    }

    /// <summary>Ends an allocation; its bytes become the caller's, to be freed as aligned memory.</summary>
    /// <exception cref="ArgumentException">Nothing was allocated there.</exception>
    internal void Detach(nint address)
    {
        lock (gate)
        {
            if (!allocations.Remove((ulong)address, out Allocation? allocation))
                throw new ArgumentException($"no allocation starts at 0x{address:x}");
            allocation.Dispose();
        }
    }

    /// <summary>Notes that the host wrote these bytes (copies, fills).</summary>
    /// <exception cref="ArgumentException">They are not all of one allocation.</exception>
    public void MarkWritten(nint address, long bytes) => Of(address, bytes)?.MarkWritten((ulong)address, bytes);

    /// <summary>Notes that the host copied these bytes from there: those that nothing had written count as unwritten here too.</summary>
    /// <exception cref="ArgumentException">They are not all of one allocation, here or there.</exception>
    public void MarkCopied(nint address, nint source, long bytes)
    {
        if (Of(address, bytes) is { } target && Of(source, bytes) is { } origin)
            target.MarkCopied((ulong)address, origin, (ulong)source, bytes);
    }

    /// <summary>Makes bytes what they were when they were fresh: ones that nothing wrote.</summary>
    /// <exception cref="ArgumentException">They are not all of one allocation.</exception>
    public void Poison(nint address, long bytes)
    {
        if (Of(address, bytes) is not { } allocation)
            return;
        NativeMemory.Fill((void*)address, (nuint)bytes, Fresh);
        allocation.Forget((ulong)address, bytes);
    }

    /// <summary>Whether any of these bytes was never written.</summary>
    /// <exception cref="ArgumentException">They are not all of one allocation.</exception>
    public bool HasUnwritten(nint address, long bytes) => Of(address, bytes) is { } allocation && !allocation.IsWritten((ulong)address, bytes);

    /// <summary>The allocation that holds this address, or null.</summary>
    internal Allocation? Find(ulong address)
    {
        lock (gate)
        {
            IList<ulong> starts = allocations.Keys;
            int low = 0;
            int high = starts.Count;
            while (low < high)
            {
                int middle = (low + high) / 2;
                if (starts[middle] <= address)
                    low = middle + 1;
                else
                    high = middle;
            }

            return low > 0 && allocations.Values[low - 1] is var found && address < found.End ? found : null;
        }
    }

    private Allocation? Of(nint address, long bytes)
    {
        if (bytes == 0)
            return null;
        Allocation? allocation = Find((ulong)address);
        return allocation is not null && (ulong)address + (ulong)bytes <= allocation.End
            ? allocation
            : throw new ArgumentException($"{bytes} bytes at 0x{address:x} are not in one allocation");
    }

    private static void Release(Allocation allocation)
    {
        allocation.Dispose();
        NativeMemory.AlignedFree((void*)allocation.Start);
    }
}

/// <summary>One allocation and which of its bytes were written: none, all, or those of the map, a byte each.</summary>
internal sealed unsafe class Allocation(ulong start, long bytes) : IDisposable
{
    private readonly Lock gate = new();
    private byte* map;
    private bool isAllWritten;

    public ulong Start { get; } = start;

    public ulong End { get; } = start + (ulong)bytes;

    public bool IsAllWritten => isAllWritten;

    public void MarkWritten(ulong address, long length)
    {
        if (isAllWritten)
            return;
        if (length == bytes)
        {
            // The map stays: another thread may be writing into it.
            isAllWritten = true;
            return;
        }

        NativeMemory.Fill(Map() + (address - Start), (nuint)length, 1);
    }

    public void MarkCopied(ulong address, Allocation source, ulong sourceAddress, long length)
    {
        if (source.IsWritten(sourceAddress, length))
        {
            MarkWritten(address, length);
            return;
        }

        Forget(address, length);
        if (source.map is not null)
            Buffer.MemoryCopy(source.map + (sourceAddress - source.Start), Map() + (address - Start), length, length);
    }

    /// <summary>What <see cref="MarkWritten"/> does, for the few bytes of one thread's store.</summary>
    public void MarkStored(ulong address, int length)
    {
        byte* at = Map() + (address - Start);
        for (int i = 0; i < length; i++)
            at[i] = 1;
    }

    public bool IsWritten(ulong address, long length)
    {
        if (isAllWritten || map is null)
            return isAllWritten || length == 0;
        byte* at = map + (address - Start);
        for (long left = length; left > 0; left -= int.MaxValue)
        {
            if (new ReadOnlySpan<byte>(at, (int)Math.Min(left, int.MaxValue)).Contains((byte)0))
                return false;
            at += int.MaxValue;
        }

        return true;
    }

    public void Forget(ulong address, long length)
    {
        if (isAllWritten)
        {
            NativeMemory.Fill(Map(), (nuint)bytes, 1);
            isAllWritten = false;
        }

        if (map is not null)
            NativeMemory.Clear(map + (address - Start), (nuint)length);
    }

    public void Dispose()
    {
        NativeMemory.Free(map);
        map = null;
    }

    private byte* Map()
    {
        if (map is null)
        {
            lock (gate)
            {
                if (map is null)
                    map = (byte*)NativeMemory.AllocZeroed((nuint)bytes);
            }
        }

        return map;
    }
}
