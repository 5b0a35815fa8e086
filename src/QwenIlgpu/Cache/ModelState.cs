using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// The device memory that sequences live in: key and value pages of every attention layer, the page table, delta states and conv
/// tails. Slot 0 and page 0 belong to padding rows; what these leave behind nobody reads, so slot 0 has one state for all layers.
/// </summary>
internal sealed class ModelState
{
    private readonly ComputeDevice device;
    private readonly PageTable table;

    public ModelState(ComputeDevice device, DeviceMemory memory, QwenConfig config, EngineCapacity capacity)
    {
        this.device = device;
        Capacity = capacity;
        table = new PageTable(device, memory, capacity);
        DeltaLayerCount = config.NumLinearAttentionLayers;
        DeltaPool = NewDeltaPool(memory, config, capacity);
        var pages = new LayerPages?[config.NumHiddenLayers];
        var states = new DeltaSlots?[config.NumHiddenLayers];
        int deltaLayers = 0;
        for (int layer = 0; layer < config.NumHiddenLayers; layer++)
        {
            if (config.LayerTypes[layer] == LayerType.FullAttention)
            {
                pages[layer] = capacity.KvType.Allocate(memory, capacity.Pages, config.NumKeyValueHeads, config.HeadDim);
            }
            else
            {
                states[layer] = LayerOf(DeltaPool, deltaLayers++, capacity);
            }
        }

        AttentionLayers = pages;
        DeltaLayers = states;
    }

    public EngineCapacity Capacity { get; }

    /// <summary>[slots, pages per sequence]: page id of each 64-token block of each sequence.</summary>
    public Matrix<int> PageTable => table.Rows;

    /// <summary>By layer index; null for delta layers.</summary>
    public IReadOnlyList<LayerPages?> AttentionLayers { get; }

    /// <summary>
    /// By layer index; null for attention layers. Slots from 1 on: what lies at slot 0 belongs to another layer, and steps with padding rows
    /// go through <see cref="DeltaPool"/>.
    /// </summary>
    public IReadOnlyList<DeltaSlots?> DeltaLayers { get; }

    /// <summary>Bytes of one page over all attention layers.</summary>
    public long PageBytes => AttentionLayers.Sum(layer => layer?.PageBytes ?? 0);

    /// <summary>Bytes of one slot's delta states and conv tails over all delta layers.</summary>
    public long StateBytesPerSlot => DeltaLayers.Sum(layer => layer is null ? 0 : layer.States.SlotBytes + RingBytes(layer));

    /// <summary>
    /// States and conv tails of all delta layers: row 0 for padding rows of every layer, then those of all slots, layer
    /// by layer.
    /// </summary>
    public DeltaSlots DeltaPool { get; }

    /// <summary>Layers that the pool serves.</summary>
    public int DeltaLayerCount { get; }

    /// <summary>Those before a layer of the model.</summary>
    public int DeltaLayersBefore(int layer) => DeltaLayers.Take(layer).Count(slots => slots is not null);

    /// <summary>The row of the pool of a slot in the delta layer that so many others are before.</summary>
    public static int PoolRow(EngineCapacity capacity, int deltaLayer, int slot) => slot == 0 ? 0 : (deltaLayer * (capacity.StateSlots - 1)) + slot;

    /// <summary>Queues the writing of a sequence's pages into its row of the table, in order of its 64-token blocks.</summary>
    public void SetPages(int slot, ReadOnlySpan<int> pages) => table.Set(slot, 0, pages);

    /// <summary>Queues the writing of one page of a sequence into its row of the table: that of the 64-token block it has grown by.</summary>
    public void SetPage(int slot, int block, int page) => table.Set(slot, block, [page]);

    /// <summary>Queues the copying of one slot's delta states and conv tails to another slot.</summary>
    public void CopyState(int fromSlot, int toSlot)
    {
        const string Op = "copy_state";
        Require.Below(Op, "slot", [fromSlot, toSlot], Capacity.StateSlots);
        foreach (DeltaSlots? layer in DeltaLayers)
        {
            if (layer is null)
                continue;
            Copy(layer.States.Slot<byte>(fromSlot), layer.States.Slot<byte>(toSlot));
            Copy(Ring(layer, fromSlot), Ring(layer, toSlot));
        }
    }

    /// <summary>Queues the copying of one slot's states to the host: <see cref="StateBytesPerSlot"/> bytes from an offset on.</summary>
    public void DownloadState(int slot, HostBuffer<byte> buffer, long offset)
    {
        Require.Below("download_state", "slot", [slot], Capacity.StateSlots);
        Download(StateParts(slot), buffer, offset);
    }

    /// <summary>Queues the copying of what <see cref="DownloadState"/> has put on the host to a slot; the buffer must stay as it is until then.</summary>
    public void UploadState(int slot, HostBuffer<byte> buffer, long offset)
    {
        Require.Below("upload_state", "slot", [slot], Capacity.StateSlots);
        Upload(StateParts(slot), buffer, offset);
    }

    /// <summary>Queues the copying of one page of every attention layer to the host: <see cref="PageBytes"/> bytes from an offset on.</summary>
    public void DownloadPage(int page, HostBuffer<byte> buffer, long offset)
    {
        Require.Below("download_page", "page", [page], Capacity.Pages);
        Download(PageParts(page), buffer, offset);
    }

    /// <summary>Queues the copying of what <see cref="DownloadPage"/> has put on the host to a page; the buffer must stay as it is until then.</summary>
    public void UploadPage(int page, HostBuffer<byte> buffer, long offset)
    {
        Require.Below("upload_page", "page", [page], Capacity.Pages);
        Upload(PageParts(page), buffer, offset);
    }

    private void Download(IEnumerable<ArrayView<byte>> parts, HostBuffer<byte> buffer, long offset)
    {
        foreach (ArrayView<byte> part in parts)
        {
            buffer.Download(part, device.Stream, offset);
            offset += part.Length;
        }
    }

    private void Upload(IEnumerable<ArrayView<byte>> parts, HostBuffer<byte> buffer, long offset)
    {
        foreach (ArrayView<byte> part in parts)
        {
            buffer.Upload(part, device.Stream, offset);
            offset += part.Length;
        }
    }

    // In the order in which they lie on the host.
    private IEnumerable<ArrayView<byte>> StateParts(int slot)
    {
        foreach (DeltaSlots layer in DeltaLayers.OfType<DeltaSlots>())
        {
            yield return layer.States.Slot<byte>(slot);
            yield return Ring(layer, slot);
        }
    }

    private IEnumerable<ArrayView<byte>> PageParts(int page)
    {
        foreach (LayerPages layer in AttentionLayers.OfType<LayerPages>())
        {
            yield return layer.KeysOf(page);
            yield return layer.ValuesOf(page);
        }
    }

    private static ArrayView<byte> Ring(DeltaSlots layer, int slot) => layer.Ring.Row(slot).Cast<byte>();

    private static long RingBytes(DeltaSlots layer) => (long)layer.Ring.Columns * sizeof(float);

    private unsafe void Copy(ArrayView<byte> source, ArrayView<byte> target)
    {
        (nint from, nint to) = (source.LoadEffectiveAddressAsPtr(), target.LoadEffectiveAddressAsPtr());
        if (device.Stream is CudaStream cuda)
            CudaDriver.Check(CudaDriver.MemcpyDeviceToDevice(to, from, (nuint)source.Length, cuda.StreamPtr), "cuMemcpyAsync");
        else if (device.IsCpu)
            NativeMemory.Copy((void*)from, (void*)to, (nuint)source.Length);
        else
            source.CopyTo(device.Stream, target);
    }

    private static DeltaSlots NewDeltaPool(DeviceMemory memory, QwenConfig config, EngineCapacity capacity)
    {
        int rows = checked(1 + (config.NumLinearAttentionLayers * (capacity.StateSlots - 1)));
        int stateElements = config.LinearNumValueHeads * config.LinearValueHeadDim * config.LinearKeyHeadDim;
        int ringElements = capacity.RingRows * config.LinearConvChannels;
        long stateBytes = (long)rows * stateElements * capacity.DeltaStateType.ElementBytes();
        return new DeltaSlots(
            new DeltaStates(memory.AllocateZeroed<byte>(stateBytes), capacity.DeltaStateType.Format(), rows, stateElements),
            new Matrix<float>(memory.AllocateZeroed<float>((long)rows * ringElements), rows, ringElements));
    }

    // The rows of a layer behind one that is not its own, so that slots are their numbers.
    private static DeltaSlots LayerOf(DeltaSlots pool, int deltaLayer, EngineCapacity capacity)
    {
        int first = PoolRow(capacity, deltaLayer, 1) - 1;
        (DeltaStates states, Matrix<float> ring) = pool;
        return new DeltaSlots(
            states with { Data = Part(states.Data, first, capacity.StateSlots, states.SlotBytes), Slots = capacity.StateSlots },
            new Matrix<float>(Part(ring.Data, first, capacity.StateSlots, ring.Columns), capacity.StateSlots, ring.Columns));
    }

    // Rows of a view, which is empty where memory is only measured.
    private static ArrayView<T> Part<T>(ArrayView<T> data, long first, long rows, long rowLength)
        where T : unmanaged => data.Length == 0 ? data : data.SubView(first * rowLength, rows * rowLength);
}
