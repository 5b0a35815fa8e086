using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Writes a slot's mask: the ids given are allowed, no others. One item, because ids share words. request: [2] = slot, number of ids;
/// ids: [capacity].
/// </summary>
internal readonly partial struct SetMaskKernel(SamplingSlots slots, ArrayView<int> request, ArrayView<int> ids) : IPortableKernel
{
    public int Items => 1;

    public static void SetMask(Index1D thread, int threads, SetMaskKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        ArrayView<uint> allowed = slots.Allowed.Row(request[0]);
        for (int word = 0; word < slots.Allowed.Columns; word++)
            allowed[word] = 0;
        int count = request[1];
        for (int i = 0; i < count; i++)
            allowed[ids[i] >> 5] |= 1u << (ids[i] & 31);
    }
}
