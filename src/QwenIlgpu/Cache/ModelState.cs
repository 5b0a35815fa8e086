using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// The device memory that sequences live in: key and value pages of every attention layer, the page table, delta states and conv
/// tails. Slot 0 and page 0 belong to padding rows; what these leave behind nobody reads, so slot 0 has one state for all layers.
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
        DeltaLayerCount = config.NumLinearAttentionLayers;
        DeltaPool = NewDeltaPool(memory, config, capacity);
        var pages = new LayerPages?[config.NumHiddenLayers];
        var states = new DeltaSlots?[config.NumHiddenLayers];
        int deltaLayers = 0;
        for (int layer = 0; layer < config.NumHiddenLayers; layer++)
        {
            if (config.LayerTypes[layer] == LayerType.FullAttention)
            {
                pages[layer] = capacity.PageType.Allocate(memory, capacity.Pages, config.NumKeyValueHeads, config.HeadDim);
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
    public Matrix<int> PageTable { get; }

    /// <summary>By layer index; null for delta layers.</summary>
    public IReadOnlyList<LayerPages?> AttentionLayers { get; }

    /// <summary>
    /// By layer index; null for attention layers. Slots from 1 on: what lies at slot 0 belongs to another layer, and steps with padding rows
    /// go through <see cref="DeltaPool"/>.
    /// </summary>
    public IReadOnlyList<DeltaSlots?> DeltaLayers { get; }

    /// <summary>
    /// States and conv tails of all delta layers: row 0 for padding rows of every layer, then <see cref="EngineCapacity.MaxSequences"/>
    /// rows a layer.
    /// </summary>
    public DeltaSlots DeltaPool { get; }

    /// <summary>Layers that the pool serves.</summary>
    public int DeltaLayerCount { get; }

    /// <summary>Those before a layer of the model.</summary>
    public int DeltaLayersBefore(int layer) => DeltaLayers.Take(layer).Count(slots => slots is not null);

    /// <summary>The row of the pool of a slot in the delta layer that so many others are before.</summary>
    public static int PoolRow(EngineCapacity capacity, int deltaLayer, int slot) => slot == 0 ? 0 : (deltaLayer * capacity.MaxSequences) + slot;

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

    private static DeltaSlots NewDeltaPool(DeviceMemory memory, QwenConfig config, EngineCapacity capacity)
    {
        int rows = checked(1 + (config.NumLinearAttentionLayers * capacity.MaxSequences));
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
            states with { Data = Part(states.Data, first, capacity.Slots, states.SlotBytes), Slots = capacity.Slots },
            new Matrix<float>(Part(ring.Data, first, capacity.Slots, ring.Columns), capacity.Slots, ring.Columns));
    }

    // Rows of a view, which is empty where memory is only measured.
    private static ArrayView<T> Part<T>(ArrayView<T> data, long first, long rows, long rowLength)
        where T : unmanaged => data.Length == 0 ? data : data.SubView(first * rowLength, rows * rowLength);
}
