using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The loop from a drawn token to the next step's input, on the device: <see cref="BindSet"/> when a sequence is admitted,
/// <see cref="BindAdvance"/> after each sampling, <see cref="BindFeed"/> before each decode step.
/// </summary>
internal static class DecodeFeedback
{
    /// <summary>liveSlot, tokenIds, positions, rowSlot: [M].</summary>
    public static Launch BindFeed(
        KernelLoader loader, DecodeSlots slots, ArrayView<int> liveSlot, ArrayView<int> tokenIds, ArrayView<int> positions, ArrayView<int> rowSlot)
    {
        const string Op = "feed_tokens";
        Require.Equal(Op, "length of token ids", tokenIds.Length, "of live slots", liveSlot.Length);
        Require.Equal(Op, "length of positions", positions.Length, "of live slots", liveSlot.Length);
        Require.Equal(Op, "length of row slots", rowSlot.Length, "of live slots", liveSlot.Length);
        return loader.Bind(FeedTokensKernel.FeedTokens, new FeedTokensKernel(slots, liveSlot, tokenIds, positions, rowSlot));
    }

    /// <summary>logitSlot, ids: [R]; endIds: [E], the ids that end a turn.</summary>
    public static Launch BindAdvance(KernelLoader loader, DecodeSlots slots, ArrayView<int> logitSlot, ArrayView<int> ids, ArrayView<int> endIds)
    {
        Require.Equal("advance_slots", "length of ids", ids.Length, "of logit slots", logitSlot.Length);
        return loader.Bind(AdvanceSlotsKernel.AdvanceSlots, new AdvanceSlotsKernel(slots, logitSlot, ids, endIds));
    }

    /// <summary>request: [5], see <see cref="SetSlotKernel"/>; the host writes it before each run.</summary>
    public static Launch BindSet(KernelLoader loader, DecodeSlots slots, ArrayView<int> request)
    {
        Require.Equal("set_slot", "length of request", request.Length, "slot and its fields", 1 + DecodeSlots.Fields);
        return loader.Bind(SetSlotKernel.SetSlot, new SetSlotKernel(slots, request));
    }
}
