using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Which page each 64-token block of each sequence lies in, on the device and as the host wrote it last. Every slot has a row of its own on
/// the host, so that entries of different slots are queued without waiting for each other; only who writes to a slot again while its last
/// entries are still on their way waits.
/// </summary>
internal sealed class PageTable
{
    private readonly ComputeDevice device;
    private readonly HostBuffer<int> host;
    private readonly DeviceEvent[] copied;
    private readonly int pages;

    public PageTable(ComputeDevice device, DeviceMemory memory, EngineCapacity capacity)
    {
        (this.device, pages) = (device, capacity.Pages);
        long entries = (long)capacity.Slots * capacity.PagesPerSequence;
        Rows = new Matrix<int>(memory.AllocateZeroed<int>(entries), capacity.Slots, capacity.PagesPerSequence);
        host = memory.AllocateHost<int>(entries);
        copied = [.. Enumerable.Range(0, capacity.Slots).Select(_ => memory.NewEvent())];
    }

    /// <summary>[slots, pages per sequence] on the device.</summary>
    public Matrix<int> Rows { get; }

    /// <summary>Queues the writing of entries of a slot's row, from that of a block on.</summary>
    public void Set(int slot, int block, ReadOnlySpan<int> entries)
    {
        const string Op = "set_pages";
        Require.Below(Op, "slot", [slot], Rows.Rows);
        Require.Below(Op, "page", entries, pages);
        if (block < 0 || entries.Length > Rows.Columns - block)
            throw new ArgumentException($"{Op}: pages {block} to {block + (long)entries.Length} are given, a sequence has at most {Rows.Columns}");
        if (!copied[slot].IsReached)
            copied[slot].Wait();
        int first = (slot * Rows.Columns) + block;
        entries.CopyTo(host.Span[first..]);
        host.Upload(Rows.Row(slot).SubView(block, entries.Length), device.Stream, first);
        copied[slot].Record(device.Stream);
    }
}
