using ILGPU;

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
