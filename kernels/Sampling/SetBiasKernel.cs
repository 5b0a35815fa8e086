using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Writes a slot's bias: 0 but for the pairs given. One item. request: [2] = slot, number of pairs; ids: [capacity]; values: [capacity]
/// float.
/// </summary>
internal readonly partial struct SetBiasKernel(SamplingSlots slots, ArrayView<int> request, ArrayView<int> ids, ArrayView<float> values)
    : IPortableKernel
{
    public int Items => 1;

    public static void SetBias(Index1D thread, int threads, SetBiasKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        ArrayView<float> bias = slots.Bias.Row(request[0]);
        for (int id = 0; id < slots.VocabularySize; id++)
            bias[id] = 0;
        int count = request[1];
        for (int i = 0; i < count; i++)
            bias[ids[i]] = values[i];
    }
}
