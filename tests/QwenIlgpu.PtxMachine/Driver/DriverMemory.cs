using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>Whose memory a range is.</summary>
internal enum MemoryKind
{
    /// <summary>The host's, pageable.</summary>
    Pageable,

    /// <summary>The host's, page-locked.</summary>
    PageLocked,

    /// <summary>The device's.</summary>
    Device,
}

/// <summary>What contexts hold of the machine's memory and of page-locked memory; copies and fills.</summary>
internal sealed unsafe class DriverMemory(DeviceMemory memory, long deviceBytes)
{
    private const int PageBytes = 4096;

    // By address. A range that was registered belongs to the caller.
    private readonly SortedList<nint, Block> blocks = [];

    public long TotalBytes { get; } = deviceBytes;

    public long UsedBytes { get; private set; }

    public nint AllocateDevice(long bytes)
    {
        DriverException.ThrowUnless(bytes > 0, DriverResult.InvalidValue);
        DriverException.ThrowUnless(bytes <= TotalBytes - UsedBytes, DriverResult.OutOfMemory);
        nint address = memory.Allocate(bytes);
        Add(address, new Block(MemoryKind.Device, bytes, DriverContext.Current, IsOwned: true));
        UsedBytes += bytes;
        return address;
    }

    /// <summary>Page-locked memory, full of ones.</summary>
    public nint AllocateHost(long bytes)
    {
        DriverException.ThrowUnless(bytes > 0, DriverResult.InvalidValue);
        nint address = (nint)NativeMemory.AlignedAlloc((nuint)bytes, PageBytes);
        NativeMemory.Fill((void*)address, (nuint)bytes, 0xff);
        Add(address, new Block(MemoryKind.PageLocked, bytes, DriverContext.Current, IsOwned: true));
        return address;
    }

    public void RegisterHost(nint address, long bytes)
    {
        DriverException.ThrowUnless(address != 0 && bytes > 0, DriverResult.InvalidValue);
        Add(address, new Block(MemoryKind.PageLocked, bytes, DriverContext.Current, IsOwned: false));
    }

    public void Free(nint address, MemoryKind kind, bool owned = true)
    {
        bool found = blocks.TryGetValue(address, out Block? block) && block.Kind == kind && block.IsOwned == owned;
        DriverException.ThrowUnless(found, DriverResult.InvalidValue);
        blocks.Remove(address);
        if (kind == MemoryKind.Device)
        {
            UsedBytes -= block!.Bytes;
            memory.Free(address);
        }
        else if (owned)
        {
            NativeMemory.AlignedFree((void*)address);
        }
    }

    /// <summary>Frees what a context leaves behind.</summary>
    public void FreeAllOf(nint context)
    {
        KeyValuePair<nint, Block>[] left = [.. blocks.Where(b => b.Value.Context == context)];
        foreach ((nint address, Block block) in left)
            Free(address, block.Kind, block.IsOwned);
    }

    /// <summary>Whose memory a range is.</summary>
    /// <exception cref="DriverException">It begins in an allocation and goes over its end.</exception>
    public MemoryKind KindOf(nint address, long bytes)
    {
        (nint start, Block? block) = BlockAt(address);
        if (block is null)
            return MemoryKind.Pageable;
        DriverException.ThrowUnless(bytes <= block.Bytes - (address - start), DriverResult.InvalidValue);
        return block.Kind;
    }

    /// <summary>A copy between any two memories. Bytes that nothing wrote stay so in the device's memory.</summary>
    public void Copy(nint target, nint source, long bytes)
    {
        bool toDevice = KindOf(target, bytes) == MemoryKind.Device;
        bool fromDevice = KindOf(source, bytes) == MemoryKind.Device;
        Buffer.MemoryCopy((void*)source, (void*)target, bytes, bytes);
        if (toDevice && fromDevice)
            memory.MarkCopied(target, source, bytes);
        else if (toDevice)
            memory.MarkWritten(target, bytes);
    }

    /// <exception cref="DriverException">The range is not in one allocation of the device.</exception>
    public void Fill(nint target, byte value, long bytes)
    {
        DriverException.ThrowUnless(KindOf(target, bytes) == MemoryKind.Device, DriverResult.InvalidValue);
        NativeMemory.Fill((void*)target, (nuint)bytes, value);
        memory.MarkWritten(target, bytes);
    }

    private void Add(nint address, Block block)
    {
        bool isFree = BlockAt(address).Block is null && BlockAt(address + (nint)block.Bytes - 1).Block is null;
        DriverException.ThrowUnless(isFree, DriverResult.InvalidValue);
        blocks.Add(address, block);
    }

    // The last block at or below the address, if the address is inside.
    private (nint Start, Block? Block) BlockAt(nint address)
    {
        int low = 0;
        int high = blocks.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (blocks.Keys[middle] <= address)
                low = middle + 1;
            else
                high = middle;
        }

        if (low == 0)
            return default;
        nint start = blocks.Keys[low - 1];
        Block block = blocks.Values[low - 1];
        return address - start < block.Bytes ? (start, block) : default;
    }

    private sealed record Block(MemoryKind Kind, long Bytes, nint Context, bool IsOwned);
}
