using ILGPU;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// The device memory that sequences live in: key and value pages of every attention layer, the page table, delta states and conv
/// tails. Slot 0 and page 0 belong to padding rows.
/// </summary>
internal sealed class ModelState
{
    private readonly ComputeDevice device;
    private readonly HostBuffer<int> tableRow;
    private readonly DeviceEvent tableRowCopied;

    public ModelState(ComputeDevice device, DeviceMemory memory, QwenConfig config, EngineCapacity capacity)
    {
        this.device = device;
        Capacity = capacity;
        tableRow = memory.AllocateHost<int>(capacity.PagesPerSequence);
        tableRowCopied = memory.NewEvent();
        PageTable = new Matrix<int>(
            memory.AllocateZeroed<int>((long)capacity.Slots * capacity.PagesPerSequence), capacity.Slots, capacity.PagesPerSequence);
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
    public Matrix<int> PageTable { get; }

    /// <summary>By layer index; null for delta layers.</summary>
    public IReadOnlyList<LayerPages?> AttentionLayers { get; }

    /// <summary>By layer index; null for attention layers.</summary>
    public IReadOnlyList<DeltaSlots?> DeltaLayers { get; }

    /// <summary>Queues the writing of a sequence's pages into its row of the table, in order of its 64-token blocks.</summary>
    public void SetPages(int slot, ReadOnlySpan<int> pages)
    {
        const string Op = "set_pages";
        Require.Below(Op, "slot", [slot], Capacity.Slots);
        Require.That(Op, pages.Length <= Capacity.PagesPerSequence, $"{pages.Length} pages are given, a sequence has at most {Capacity.PagesPerSequence}");
        Require.Below(Op, "page", pages, Capacity.Pages);
        if (!tableRowCopied.IsReached)
            tableRowCopied.Wait();
        pages.CopyTo(tableRow.Span);
        tableRow.Upload(PageTable.Row(slot).SubView(0, pages.Length), device.Stream);
        tableRowCopied.Record(device.Stream);
    }

    /// <summary>Queues the copy of one slot's recurrent state, delta states and conv tails, to another slot.</summary>
    public void CopyState(int source, int target)
    {
        const string Op = "copy_state";
        Require.Below(Op, "slot", [source, target], Capacity.StateSlots);
        foreach (DeltaSlots? layer in DeltaLayers)
        {
            if (layer is null)
                continue;
            layer.States.Slot<byte>(source).CopyTo(device.Stream, layer.States.Slot<byte>(target));
            layer.Ring.Row(source).CopyTo(device.Stream, layer.Ring.Row(target));
        }
    }
}
