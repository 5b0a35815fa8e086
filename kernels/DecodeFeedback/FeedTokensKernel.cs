using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Inputs of a decode step, one row an item: the slot's token at its position; for a slot that has ended, and for padding, token 0 at
/// position 0 of slot 0. liveSlot, tokenIds, positions, rowSlot: [M] int.
/// </summary>
internal readonly struct FeedTokensKernel(
    DecodeSlots slots, ArrayView<int> liveSlot, ArrayView<int> tokenIds, ArrayView<int> positions, ArrayView<int> rowSlot) : IPortableKernel
{
    public int Items => liveSlot.IntLength;

    public static void FeedTokens(Index1D thread, int threads, FeedTokensKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int row)
    {
        int slot = liveSlot[row];
        bool active = slot != 0 && slots.Remaining[slot] > 0;
        tokenIds[row] = active ? slots.Token[slot] : 0;
        positions[row] = active ? slots.Position[slot] : 0;
        rowSlot[row] = active ? slot : 0;
    }
}
