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
    private readonly Launch setSlot;
    private readonly ArrayView<int> request;
    private readonly ArrayView<int> listIds;
    private readonly ArrayView<float> listValues;
    private readonly Launch[] admit;
    private readonly Launch setBias;
    private readonly Launch setMask;
    private bool anyLogProbs;

    public Sampler(QwenModel model, DeviceMemory memory, SamplingState state, int contextTokens)
    {
        (device, this.state, idsWithoutToken) = (model.Device, state, model.IdsWithoutToken);
        slotRequest = memory.AllocateZeroed<int>(1 + DecodeSlots.Fields);
        setSlot = DecodeFeedback.BindSet(device.Loader, state.DecodeSlots, slotRequest);
        request = memory.AllocateZeroed<int>(2);
        listIds = memory.AllocateZeroed<int>(Math.Max(state.VocabularySize, contextTokens));
        listValues = memory.AllocateZeroed<float>(listIds.Length);
        admit = SlotAdmission.Bind(device.Loader, state.Slots, request, listIds);
        setBias = SlotAdmission.BindBias(device.Loader, state.Slots, request, listIds, listValues);
        setMask = SlotAdmission.BindMask(device.Loader, state.Slots, request, listIds);
    }

    /// <summary>What a request's slot is to hold, without asking anything of the device.</summary>
    public SlotContents ContentsOf(GenerationRequest request) =>
        SlotContents.Of(request, state.VocabularySize, idsWithoutToken, (int)state.Slots.Parameters.Length);

    /// <summary>Prepares a request's slot for sampling and for feeding back what is drawn.</summary>
    public void Admit(SlotContents admitted)
    {
        slotRequest.CopyFromCPU(device.Stream, [admitted.Slot, 0, admitted.PromptIds.Length - 1, admitted.MaxTokens, admitted.EndsAtEndIds ? 1 : 0]);
        setSlot.Run(device.Stream);
        state.Slots.Parameters.SubView(admitted.Slot, 1).CopyFromCPU(device.Stream, [admitted.Parameters]);
        anyLogProbs |= admitted.Parameters.Has(SlotParameters.HasLogProbs);
        RunWithList(admitted.Slot, admitted.PromptIds, admit);
        if (admitted.BiasIds.Length > 0)
        {
            listValues.SubView(0, admitted.BiasIds.Length).CopyFromCPU(device.Stream, admitted.Biases);
            RunWithList(admitted.Slot, admitted.BiasIds, setBias);
        }

        if (admitted.Parameters.Has(SlotParameters.HasMask))
            RunWithList(admitted.Slot, admitted.AllowedIds, setMask);
    }

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
