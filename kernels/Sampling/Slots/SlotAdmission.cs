using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Prepares a slot for a new sequence. The launches are bound once; what changes per request lies in small device buffers that the host
/// writes before running them. Slot parameters are written by the host itself.
/// </summary>
internal static class SlotAdmission
{
    /// <summary>
    /// Draw index 0, nothing generated, and the prompt's tokens marked. request: [2] = slot, number of prompt ids; promptIds: [capacity],
    /// each id checked by the host to lie below the vocabulary's size.
    /// </summary>
    public static Launch[] Bind(KernelLoader loader, SamplingSlots slots, ArrayView<int> request, ArrayView<int> promptIds)
    {
        Require.Equal("slot_admission", "length of request", request.Length, "length of (slot, count)", 2);
        return
        [
            loader.Bind(ClearSeenKernel.ClearSeen, new ClearSeenKernel(slots, request)),
            loader.Bind(MarkPromptKernel.MarkPrompt, new MarkPromptKernel(slots, request, promptIds)),
        ];
    }

    /// <summary>The slot's bias: 0 but for the pairs. request: [2] = slot, number of pairs; ids, values: [capacity], no id twice.</summary>
    public static Launch BindBias(
        KernelLoader loader, SamplingSlots slots, ArrayView<int> request, ArrayView<int> ids, ArrayView<float> values)
    {
        Require.Equal("slot_bias", "length of request", request.Length, "length of (slot, count)", 2);
        Require.Equal("slot_bias", "length of values", values.Length, "length of ids", ids.Length);
        return loader.Bind(SetBiasKernel.SetBias, new SetBiasKernel(slots, request, ids, values));
    }

    /// <summary>The slot's mask: only the ids given may be drawn. request: [2] = slot, number of ids; ids: [capacity].</summary>
    public static Launch BindMask(KernelLoader loader, SamplingSlots slots, ArrayView<int> request, ArrayView<int> ids)
    {
        Require.Equal("slot_mask", "length of request", request.Length, "length of (slot, count)", 2);
        return loader.Bind(SetMaskKernel.SetMask, new SetMaskKernel(slots, request, ids));
    }
}

/// <summary>
/// Forgets a slot's tokens and sets its draw index to 0. Items: blocks of the vocabulary. request: [2] = slot, number of prompt ids.
/// </summary>
internal readonly partial struct ClearSeenKernel(SamplingSlots slots, ArrayView<int> request) : IPortableKernel
{
    public int Items => VocabularyBlocks.Count;

    public static void ClearSeen(Index1D thread, int threads, ClearSeenKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int block)
    {
        int slot = request[0];
        ArrayView<int> seen = slots.Seen.Row(slot);
        int length = VocabularyBlocks.Length(slots.VocabularySize);
        int to = XMath.Min((block + 1) * length, slots.VocabularySize);
        for (int id = block * length; id < to; id++)
            seen[id] = 0;
        if (block == 0)
            slots.DrawIndex[slot] = 0;
    }
}

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
