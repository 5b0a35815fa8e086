using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Forgets a slot's tokens and sets its draw index to 0. Items: blocks of the vocabulary. request: [2] = slot, number of prompt ids.
/// </summary>
internal readonly partial struct ClearSeenKernel(SamplingSlots slots, ArrayView<int> request) : IPortableKernel
{
    public int Items => SamplingScratch.Blocks;

    public static void ClearSeen(Index1D thread, int threads, ClearSeenKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int block)
    {
        int slot = request[0];
        ArrayView<int> seen = slots.Seen.Row(slot);
        int length = SamplingScratch.BlockLength(slots.VocabularySize);
        int to = XMath.Min((block + 1) * length, slots.VocabularySize);
        for (int id = block * length; id < to; id++)
            seen[id] = 0;
        if (block == 0)
            slots.DrawIndex[slot] = 0;
    }
}
