using System.Runtime.InteropServices;
using ILGPU;

namespace QwenIlgpu;

/// <summary>
/// Brings host bytes to the device through two page-locked blocks in turn: while one is copied on the copy stream the next is
/// filled. Launches on the compute stream see what was sent before them. Weights that a kernel repacks on the way go through two
/// device blocks in turn, each overwritten only when the launches that read it are done.
/// </summary>
internal sealed class StagedUpload : IDisposable
{
    /// <summary>Most bytes that are sent at once.</summary>
    public const int BlockBytes = 16 << 20;

    private const int Blocks = 2;

    private readonly ComputeDevice device;
    private readonly DeviceMemory memory;
    private readonly HostBuffer<byte>[] blocks;
    private readonly DeviceEvent[] sent;
    private readonly DeviceEvent[] consumed;
    private readonly DeviceMemory?[] sourceMemory = new DeviceMemory?[Blocks];
    private readonly ArrayView<byte>[] sources = new ArrayView<byte>[Blocks];
    private int block;
    private int source;

    public StagedUpload(ComputeDevice device)
    {
        this.device = device;
        device.Bind();
        memory = new DeviceMemory(device);
        blocks = [.. Enumerable.Range(0, Blocks).Select(_ => memory.AllocateHost<byte>(BlockBytes))];
        sent = [.. Enumerable.Range(0, Blocks).Select(_ => memory.NewEvent())];
        consumed = [.. Enumerable.Range(0, Blocks).Select(_ => memory.NewEvent())];
    }

    /// <summary>The block to fill next; it may block until the copy from its last use is done.</summary>
    public Span<byte> NextBlock()
    {
        block = (block + 1) % Blocks;
        sent[block].Wait();
        return blocks[block].Span;
    }

    /// <summary>Queues the copy of the block last handed out, as many bytes as the target has.</summary>
    public void Send(ArrayView<byte> target)
    {
        blocks[block].Upload(target, device.CopyStream);
        sent[block].Record(device.CopyStream);
        sent[block].Delay(device.Stream);
    }

    /// <summary>Queues the copy of values that lie anywhere in host memory.</summary>
    public void Send<T>(ReadOnlySpan<T> values, ArrayView<T> target)
        where T : unmanaged
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(values);
        ArrayView<byte> view = target.Cast<byte>();
        for (int done = 0; done < bytes.Length; done += BlockBytes)
        {
            ReadOnlySpan<byte> part = bytes.Slice(done, Math.Min(BlockBytes, bytes.Length - done));
            part.CopyTo(NextBlock());
            Send(view.SubView(done, part.Length));
        }
    }

    /// <summary>
    /// Device memory to send to what a kernel is to repack. What is sent to it waits for the launches that read its last contents;
    /// <see cref="Consumed"/> must follow the launches that read it now.
    /// </summary>
    public ArrayView<byte> NextSource(long bytes)
    {
        source = (source + 1) % Blocks;
        if (sources[source].Length < bytes)
        {
            device.Synchronize();
            sourceMemory[source]?.Dispose();
            sourceMemory[source] = new DeviceMemory(device);
            sources[source] = sourceMemory[source]!.Allocate<byte>(Math.Max(bytes, BlockBytes));
        }

        consumed[source].Delay(device.CopyStream);
        return sources[source].SubView(0, bytes);
    }

    /// <summary>Marks the launches queued so far as the last that read the memory of <see cref="NextSource"/>.</summary>
    public void Consumed() => consumed[source].Record(device.Stream);

    /// <summary>Waits for everything sent and everything launched, and frees the blocks.</summary>
    public void Dispose()
    {
        device.Bind();
        device.CopyStream.Synchronize();
        device.Synchronize();
        foreach (DeviceMemory? owned in sourceMemory)
            owned?.Dispose();
        memory.Dispose();
    }
}
