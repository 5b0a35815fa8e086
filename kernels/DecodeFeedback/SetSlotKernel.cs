using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Readies a slot for a new sequence, in one item. request: [1 + <see cref="DecodeSlots.Fields"/>] int = slot, token, position,
/// remaining, ends at end id.
/// </summary>
internal readonly struct SetSlotKernel(DecodeSlots slots, ArrayView<int> request) : IPortableKernel
{
    public int Items => 1;

    public static void SetSlot(Index1D thread, int threads, SetSlotKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int slot = request[0];
        slots.Token[slot] = request[1];
        slots.Position[slot] = request[2];
        slots.Remaining[slot] = request[3];
        slots.EndsAtEndId[slot] = request[4];
    }
}
