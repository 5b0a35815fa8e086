using ILGPU;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// What the host tells the device of sampling and hears of it: the launches that prepare a slot for a request, and what each step drew,
/// read back into memory taken up front.
/// </summary>
internal sealed class Sampler
{
    private readonly ComputeDevice device;
    private readonly SamplingState state;
    private readonly IReadOnlyList<int> idsWithoutToken;
    private readonly ArrayView<int> slotRequest;
    private readonly HostBuffer<int> slotRequests;
    private readonly DeviceEvent[] slotRequestCopied;
    private readonly Launch setSlot;
    private readonly ArrayView<int> request;
    private readonly ArrayView<int> listIds;
    private readonly ArrayView<float> listValues;
    private readonly Launch[] admit;
    private readonly Launch setBias;
    private readonly Launch setMask;
    private bool anyLogProbs;

    public Sampler(QwenModel model, DeviceMemory memory, SamplingState state)
    {
        (device, this.state, idsWithoutToken) = (model.Device, state, model.IdsWithoutToken);
        (slotRequest, request, listIds, listValues) = (state.SlotRequest, state.Request, state.ListIds, state.ListValues);
        slotRequests = memory.AllocateHost<int>(state.Slots.Slots * SamplingState.SlotRequestLength);
        slotRequestCopied = [.. Enumerable.Range(0, state.Slots.Slots).Select(_ => memory.NewEvent())];
        setSlot = DecodeFeedback.BindSet(device.Loader, state.DecodeSlots, slotRequest);
        admit = SlotAdmission.Bind(device.Loader, state.Slots, request, listIds);
        setBias = SlotAdmission.BindBias(device.Loader, state.Slots, request, listIds, listValues);
        setMask = SlotAdmission.BindMask(device.Loader, state.Slots, request, listIds);
    }

    /// <summary>What a request's slot is to hold, without asking anything of the device.</summary>
    public SlotContents ContentsOf(GenerationRequest request) =>
        SlotContents.Of(request, state.VocabularySize, idsWithoutToken, (int)state.Slots.Parameters.Length);

    /// <summary>Prepares a request's slot for sampling and for feeding back what is drawn, as if all that it has drawn had been drawn there.</summary>
    public void Admit(SlotContents admitted)
    {
        int drawn = admitted.DrawnIds.Length;
        SetSlot(
            admitted.Slot, drawn == 0 ? 0 : admitted.DrawnIds[^1], admitted.PromptIds.Length + drawn - 1, admitted.MaxTokens - drawn,
            admitted.EndsAtEndIds);
        state.Slots.Parameters.SubView(admitted.Slot, 1).CopyFromCPU(device.Stream, [admitted.Parameters]);
        anyLogProbs |= admitted.Parameters.Has(SlotParameters.HasLogProbs);
        RunWithList(admitted.Slot, admitted.PromptIds, admit);
        if (drawn > 0)
            Count(admitted);
        if (admitted.BiasIds.Length > 0)
        {
            listValues.SubView(0, admitted.BiasIds.Length).CopyFromCPU(device.Stream, admitted.Biases);
            RunWithList(admitted.Slot, admitted.BiasIds, setBias);
        }

        if (admitted.Parameters.Has(SlotParameters.HasMask))
            RunWithList(admitted.Slot, admitted.AllowedIds, setMask);
    }

    /// <summary>
    /// The next decode step feeds the slot this token, whatever was drawn last. What it draws must not be read, and the slot be prepared again
    /// before a step that draws.
    /// </summary>
    public void Feed(int slot, int token, int position) => SetSlot(slot, token, position, remaining: 1, endsAtEndIds: false);

    /// <summary>Queues the reading of what the step queued last drew in its first <paramref name="rows"/> rows, and scored.</summary>
    public void ReadBack(StepResults results, int rows, int scoredRows)
    {
        results.Scores.Download(state.Scores.SubView(0, scoredRows), device.Stream);
        results.Ids.Download(state.Ids(rows), device.Stream);
        if (anyLogProbs)
        {
            LogProbs logProbs = state.LogProbs(rows);
            results.LogProbs.Download(logProbs.Drawn, device.Stream);
            results.TopIds.Download(logProbs.TopIds.Data, device.Stream);
            results.TopLogProbs.Download(logProbs.Top.Data, device.Stream);
        }

        results.Arrived.Record(device.Stream);
    }

    // Every slot has a place of its own on the host, so that one slot does not wait for another's copy.
    private void SetSlot(int slot, int token, int position, int remaining, bool endsAtEndIds)
    {
        if (!slotRequestCopied[slot].IsReached)
            slotRequestCopied[slot].Wait();
        ReadOnlySpan<int> fields = [slot, token, position, remaining, endsAtEndIds ? 1 : 0];
        fields.CopyTo(slotRequests.Span[(slot * SamplingState.SlotRequestLength)..]);
        slotRequests.Upload(slotRequest, device.Stream, slot * SamplingState.SlotRequestLength);
        slotRequestCopied[slot].Record(device.Stream);
        setSlot.Run(device.Stream);
    }

    // As the draws have left it: tokens are counted only for penalties.
    private void Count(SlotContents admitted)
    {
        state.Slots.DrawIndex.SubView(admitted.Slot, 1).CopyFromCPU(device.Stream, [admitted.DrawnIds.Length]);
        if (!admitted.Parameters.Has(SlotParameters.HasPenalties))
            return;
        int[] seen = new int[state.VocabularySize];
        foreach (int id in admitted.PromptIds)
            seen[id] |= SamplingSlots.InPrompt;
        foreach (int id in admitted.DrawnIds)
            seen[id]++;
        state.Slots.Seen.Row(admitted.Slot).CopyFromCPU(device.Stream, seen);
        device.Synchronize();
    }

    private void RunWithList(int slot, int[] list, params ReadOnlySpan<Launch> launches)
    {
        request.CopyFromCPU(device.Stream, [slot, list.Length]);
        listIds.SubView(0, list.Length).CopyFromCPU(device.Stream, list);
        foreach (Launch launch in launches)
            launch.Run(device.Stream);

        // The next request overwrites the list.
        device.Synchronize();
    }
}
