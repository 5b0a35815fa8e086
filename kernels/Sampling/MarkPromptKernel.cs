using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Marks a prompt's tokens in its slot. One item, because ids repeat. request: [2] = slot, number of prompt ids; promptIds: [capacity].
/// </summary>
internal readonly struct MarkPromptKernel(SamplingSlots slots, ArrayView<int> request, ArrayView<int> promptIds) : IPortableKernel
{
    public int Items => 1;

    public static void MarkPrompt(Index1D thread, int threads, MarkPromptKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        ArrayView<int> seen = slots.Seen.Row(request[0]);
        int count = request[1];
        for (int i = 0; i < count; i++)
            seen[promptIds[i]] |= SamplingSlots.InPrompt;
    }
}
