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
internal sealed unsafe class DriverMemory(DeviceMemory memory)
{
    private const int PageBytes = 4096;

    // By address. A range that was registered belongs to the caller.
    private readonly SortedList<nint, Block> blocks = [];

    private readonly FreedRanges freed = new();
    private int leftDevice;
    private int leftHost;

    /// <summary>Bytes that contexts of a device hold.</summary>
    public long UsedBytes(int device)
    {
        long bytes = 0;
        foreach (Block block in blocks.Values)
            bytes += block.Kind == MemoryKind.Device && block.Context.Device == device ? block.Bytes : 0;
        return bytes;
    }

    /// <summary>Allocations that nobody has freed, those that went with their context included.</summary>
    public int Count(MemoryKind kind) =>
        blocks.Values.Count(b => b.Kind == kind) + (kind == MemoryKind.Device ? leftDevice : leftHost);

    public nint AllocateDevice(long bytes, DriverContext context)
    {
        DriverException.ThrowUnless(bytes > 0, DriverResult.InvalidValue);
        DriverException.ThrowUnless(bytes <= MachineDriver.Options.MemoryBytes - UsedBytes(context.Device), DriverResult.OutOfMemory);
        nint address = memory.Allocate(bytes);
        Add(address, new Block(MemoryKind.Device, bytes, context, IsOwned: true));
        return address;
    }

    /// <summary>Page-locked memory, full of ones.</summary>
    public nint AllocateHost(long bytes, DriverContext context)
    {
        DriverException.ThrowUnless(bytes > 0, DriverResult.InvalidValue);
        nint address = (nint)NativeMemory.AlignedAlloc((nuint)bytes, PageBytes);
        NativeMemory.Fill((void*)address, (nuint)bytes, 0xff);
        Add(address, new Block(MemoryKind.PageLocked, bytes, context, IsOwned: true));
        return address;
    }

    public void RegisterHost(nint address, long bytes, DriverContext context)
    {
        DriverException.ThrowUnless(address != 0 && bytes > 0, DriverResult.InvalidValue);
        Add(address, new Block(MemoryKind.PageLocked, bytes, context, IsOwned: false));
    }

    public void Free(nint address, MemoryKind kind, bool owned = true)
    {
        bool found = blocks.TryGetValue(address, out Block? block) && block.Kind == kind && block.IsOwned == owned;
        DriverException.ThrowUnless(found, DriverResult.InvalidValue);
        blocks.Remove(address);
        if (kind == MemoryKind.Device)
            memory.Detach(address);
        if (owned)
            freed.Add(address, block!.Bytes);
    }

    /// <summary>Frees what a context leaves behind; who has forgotten it still finds it counted.</summary>
    public void FreeAllOf(DriverContext context)
    {
        KeyValuePair<nint, Block>[] left = [.. blocks.Where(b => b.Value.Context == context)];
        foreach ((nint address, Block block) in left)
        {
            Free(address, block.Kind, block.IsOwned);
            if (context.IsPoisoned)
                continue;
            if (block.Kind == MemoryKind.Device)
                leftDevice++;
            else
                leftHost++;
        }
    }

    /// <summary>Whose memory a range is.</summary>
    /// <exception cref="DriverException">It begins in an allocation and goes over its end, or was freed.</exception>
    public MemoryKind KindOf(nint address, long bytes)
    {
        (nint start, Block? block) = BlockAt(address);
        if (block is null)
        {
            if (freed.At(address) is { } range)
                throw new DriverException(DriverResult.InvalidValue, $"0x{address:x} is {range}");
            return MemoryKind.Pageable;
        }

        DriverException.ThrowUnless(bytes <= block.Bytes - (address - start), DriverResult.InvalidValue);
        return block.Kind;
    }

    /// <summary>What is wrong with a range that was of this kind when it was given; null: nothing.</summary>
    public string? Trouble(nint address, long bytes, MemoryKind kind)
    {
        if (kind == MemoryKind.Pageable)
            return null;
        (nint start, Block? block) = BlockAt(address);
        if (block is not null && block.Kind == kind && bytes <= block.Bytes - (address - start))
            return null;
        return freed.At(address) is { } range
            ? $"0x{address:x} is {range}"
            : $"{bytes} bytes at 0x{address:x} were freed";
    }

    /// <summary>The allocation of the past that this address lies in and no present one; null: none.</summary>
    public string? FreedAt(nint address) => BlockAt(address).Block is null ? freed.At(address)?.ToString() : null;

    /// <summary>A copy between any two memories. Bytes that nothing wrote stay so in the device's memory.</summary>
    public void Copy(nint target, MemoryKind targetKind, nint source, MemoryKind sourceKind, long bytes)
    {
        Buffer.MemoryCopy((void*)source, (void*)target, bytes, bytes);
        if (targetKind == MemoryKind.Device && sourceKind == MemoryKind.Device)
            memory.MarkCopied(target, source, bytes);
        else if (targetKind == MemoryKind.Device)
            memory.MarkWritten(target, bytes);
    }

    public void Fill(nint target, byte value, long bytes)
    {
        NativeMemory.Fill((void*)target, (nuint)bytes, value);
        memory.MarkWritten(target, bytes);
    }

    private void Add(nint address, Block block)
    {
        bool isFree = BlockAt(address).Block is null && BlockAt(address + (nint)block.Bytes - 1).Block is null;
        DriverException.ThrowUnless(isFree, DriverResult.InvalidValue);
        freed.Forget(address, block.Bytes);
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

    private sealed record Block(MemoryKind Kind, long Bytes, DriverContext Context, bool IsOwned);
}

/// <summary>
/// The last allocations that were freed. The small ones stay with the process for a while, so that no new one gets their addresses and a
/// use of them is found out.
/// </summary>
internal sealed unsafe class FreedRanges
{
    private const int MostRanges = 1024;
    private const long MostKeptBytes = 64 << 20;

    private readonly Queue<Range> ranges = [];
    private long keptBytes;

    public void Add(nint address, long bytes)
    {
        var range = new Range(address, bytes) { IsKept = bytes <= MostKeptBytes };
        if (range.IsKept)
            keptBytes += bytes;
        else
            NativeMemory.AlignedFree((void*)address);
        ranges.Enqueue(range);
        while (ranges.Count > MostRanges || keptBytes > MostKeptBytes)
        {
            Range oldest = ranges.Dequeue();
            if (!oldest.IsKept)
                continue;
            keptBytes -= oldest.Bytes;
            NativeMemory.AlignedFree((void*)oldest.Start);
        }
    }

    public Range? At(nint address)
    {
        foreach (Range range in ranges)
        {
            if (!range.IsReused && address >= range.Start && address - range.Start < range.Bytes)
                return range;
        }

        return null;
    }

    /// <summary>These addresses are somebody else's now.</summary>
    public void Forget(nint address, long bytes)
    {
        foreach (Range range in ranges)
            range.IsReused |= range.Start < address + (nint)bytes && address < range.Start + (nint)range.Bytes;
    }

    internal sealed class Range(nint start, long bytes)
    {
        public nint Start { get; } = start;

        public long Bytes { get; } = bytes;

        public bool IsKept { get; init; }

        public bool IsReused { get; set; }

        public override string ToString() => $"in an allocation of {Bytes} bytes at 0x{Start:x} that was freed";
    }
}
