using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// After sampling, one logits row an item: the drawn token becomes the slot's next input, one position further, and the slot ends
/// with an end id, with its last token, or when nothing could be drawn (id −1). logitSlot, ids: [R] int; endIds: [E] int.
/// </summary>
internal readonly struct AdvanceSlotsKernel(DecodeSlots slots, ArrayView<int> logitSlot, ArrayView<int> ids, ArrayView<int> endIds) : IPortableKernel
{
    public int Items => logitSlot.IntLength;

    public static void AdvanceSlots(Index1D thread, int threads, AdvanceSlotsKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int row)
    {
        int slot = logitSlot[row];
        if (slot == 0)
            return;
        int id = ids[row];
        bool ended = id < 0;
        for (int i = 0; i < endIds.Length; i++)
            ended |= endIds[i] == id && slots.EndsAtEndId[slot] != 0;
        slots.Token[slot] = id < 0 ? 0 : id;
        slots.Position[slot]++;
        slots.Remaining[slot] = ended ? 0 : slots.Remaining[slot] - 1;
    }
}
