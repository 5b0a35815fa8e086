using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The loop from a drawn token to the next step's input, on the device: <see cref="BindSet"/> when a sequence is admitted,
/// <see cref="BindAdvance"/> after each sampling, <see cref="BindFeed"/> before each decode step.
/// </summary>
internal static class DecodeFeedback
{
    /// <summary>
    /// liveSlot, tokenIds, positions, rowSlot: [M]; poolRow: [layers, M], where each row's sequence lies in a pool of which every layer has
    /// so many rows, all behind one that belongs to slot 0 of them all.
    /// </summary>
    public static Launch BindFeed(
        KernelLoader loader, DecodeSlots slots, ArrayView<int> liveSlot, ArrayView<int> tokenIds, ArrayView<int> positions, ArrayView<int> rowSlot,
        ArrayView<int> poolRow, int poolRowsPerLayer)
    {
        const string Op = "feed_tokens";
        Require.Equal(Op, "length of token ids", tokenIds.Length, "of live slots", liveSlot.Length);
        Require.Equal(Op, "length of positions", positions.Length, "of live slots", liveSlot.Length);
        Require.Equal(Op, "length of row slots", rowSlot.Length, "of live slots", liveSlot.Length);
        Require.That(Op, poolRow.Length % liveSlot.Length == 0, $"{poolRow.Length} rows of a pool are no multiple of {liveSlot.Length} live slots");
        return loader.Bind(
            FeedTokensKernel.FeedTokens, new FeedTokensKernel(slots, liveSlot, tokenIds, positions, rowSlot, poolRow, poolRowsPerLayer));
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

/// <summary>
/// What the next decode step of each sequence slot needs to know, kept on the device so that the step can be queued before the host
/// has seen the token that it feeds. All views: [slots] int. Slot 0 belongs to padding and is never active.
/// </summary>
internal readonly struct DecodeSlots(ArrayView<int> token, ArrayView<int> position, ArrayView<int> remaining, ArrayView<int> endsAtEndId)
{
    /// <summary>Fields of a slot, as <see cref="DecodeFeedback.BindSet"/> takes them.</summary>
    public const int Fields = 4;

    /// <summary>The token drawn last: what the next decode step feeds.</summary>
    public readonly ArrayView<int> Token = token;

    /// <summary>Position at which it is fed.</summary>
    public readonly ArrayView<int> Position = position;

    /// <summary>Tokens that may still be drawn; 0: the sequence has ended and takes no part in steps.</summary>
    public readonly ArrayView<int> Remaining = remaining;

    /// <summary>1: drawing an end id ends the sequence.</summary>
    public readonly ArrayView<int> EndsAtEndId = endsAtEndId;
}

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

/// <summary>
/// Inputs of a decode step, one row an item: the slot's token at its position; for a slot that has ended, and for padding, token 0 at
/// position 0 of slot 0. liveSlot, tokenIds, positions, rowSlot: [M] int; poolRow: [layers, M] int.
/// </summary>
internal readonly struct FeedTokensKernel(
    DecodeSlots slots,
    ArrayView<int> liveSlot,
    ArrayView<int> tokenIds,
    ArrayView<int> positions,
    ArrayView<int> rowSlot,
    ArrayView<int> poolRow,
    int poolRowsPerLayer) : IPortableKernel
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
        int pooled = active ? slot : 0;
        int step = active ? poolRowsPerLayer : 0;
        for (int i = row; i < poolRow.IntLength; i += liveSlot.IntLength, pooled += step)
            poolRow[i] = pooled;
    }
}

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
