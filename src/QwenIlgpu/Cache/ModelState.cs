using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// The device memory that sequences live in: key and value pages of every attention layer, the page table, delta states and conv
/// tails. Slot 0 and page 0 belong to padding rows.
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
        int stateElements = config.LinearNumValueHeads * config.LinearValueHeadDim * config.LinearKeyHeadDim;
        int ringElements = capacity.RingRows * config.LinearConvChannels;
        var pages = new LayerPages?[config.NumHiddenLayers];
        var states = new DeltaSlots?[config.NumHiddenLayers];
        for (int layer = 0; layer < config.NumHiddenLayers; layer++)
        {
            if (config.LayerTypes[layer] == LayerType.FullAttention)
            {
                pages[layer] = capacity.PageType.Allocate(memory, capacity.Pages, config.NumKeyValueHeads, config.HeadDim);
            }
            else
            {
                states[layer] = new DeltaSlots(
                    States(),
                    new Matrix<float>(memory.AllocateZeroed<float>((long)capacity.StateSlots * ringElements), capacity.StateSlots, ringElements));
            }
        }

        AttentionLayers = pages;
        DeltaLayers = states;

        DeltaStates States()
        {
            DeltaStateFormat format = capacity.DeltaStateType.Format();
            long bytes = (long)capacity.StateSlots * stateElements * DeltaStates.ElementBytes(format);
            return new DeltaStates(memory.AllocateZeroed<byte>(bytes), format, capacity.StateSlots, stateElements);
        }
    }

    public EngineCapacity Capacity { get; }

    /// <summary>[slots, pages per sequence]: page id of each 64-token block of each sequence.</summary>
    public Matrix<int> PageTable => table.Rows;

    /// <summary>By layer index; null for delta layers.</summary>
    public IReadOnlyList<LayerPages?> AttentionLayers { get; }

    /// <summary>By layer index; null for attention layers.</summary>
    public IReadOnlyList<DeltaSlots?> DeltaLayers { get; }

    /// <summary>Bytes of one page over all attention layers.</summary>
    public long PageBytes => AttentionLayers.Sum(layer => 2 * (layer?.KeyBytes ?? 0));

    /// <summary>Bytes of one slot's delta states and conv tails over all delta layers.</summary>
    public long StateBytesPerSlot => DeltaLayers.Sum(layer => layer is null ? 0 : layer.States.SlotBytes + RingBytes(layer));

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
        foreach (DeltaSlots? layer in DeltaLayers)
        {
            if (layer is null)
                continue;
            buffer.Download(layer.States.Slot<byte>(slot), device.Stream, offset);
            offset += layer.States.SlotBytes;
            buffer.Download(Ring(layer, slot), device.Stream, offset);
            offset += RingBytes(layer);
        }
    }

    /// <summary>Queues the copying of what <see cref="DownloadState"/> has put on the host to a slot; the buffer must stay as it is until then.</summary>
    public void UploadState(int slot, HostBuffer<byte> buffer, long offset)
    {
        Require.Below("upload_state", "slot", [slot], Capacity.StateSlots);
        foreach (DeltaSlots? layer in DeltaLayers)
        {
            if (layer is null)
                continue;
            buffer.Upload(layer.States.Slot<byte>(slot), device.Stream, offset);
            offset += layer.States.SlotBytes;
            buffer.Upload(Ring(layer, slot), device.Stream, offset);
            offset += RingBytes(layer);
        }
    }

    /// <summary>Queues the copying of one page of every attention layer to the host: <see cref="PageBytes"/> bytes from an offset on.</summary>
    public void DownloadPage(int page, HostBuffer<byte> buffer, long offset)
    {
        Require.Below("download_page", "page", [page], Capacity.Pages);
        foreach (LayerPages? layer in AttentionLayers)
        {
            if (layer is null)
                continue;
            buffer.Download(layer.KeysOf(page), device.Stream, offset);
            buffer.Download(layer.ValuesOf(page), device.Stream, offset + layer.KeyBytes);
            offset += 2 * layer.KeyBytes;
        }
    }

    /// <summary>Queues the copying of what <see cref="DownloadPage"/> has put on the host to a page; the buffer must stay as it is until then.</summary>
    public void UploadPage(int page, HostBuffer<byte> buffer, long offset)
    {
        Require.Below("upload_page", "page", [page], Capacity.Pages);
        foreach (LayerPages? layer in AttentionLayers)
        {
            if (layer is null)
                continue;
            buffer.Upload(layer.KeysOf(page), device.Stream, offset);
            buffer.Upload(layer.ValuesOf(page), device.Stream, offset + layer.KeyBytes);
            offset += 2 * layer.KeyBytes;
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
}
