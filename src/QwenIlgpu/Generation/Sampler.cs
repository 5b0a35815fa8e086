using ILGPU;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// The device side of sampling: per-slot parameters, bias, mask and counts; the launches that prepare a slot; the loop from drawn ids
/// to the next step's input; drawn ids and log-probabilities, read back once a step into memory taken up front.
/// </summary>
internal sealed class Sampler
{
    private const int MaxTop = SlotParameters.MaxTopLogProbs;

    private readonly ComputeDevice device;
    private readonly int vocabularySize;
    private readonly SamplingSlots slots;
    private readonly SamplingScratch scratch;
    private readonly ArrayView<int> ids;
    private readonly LogProbs logProbs;
    private readonly DrawnTokens[] drawn;
    private readonly ArrayView<float> scores;
    private readonly DecodeSlots decodeSlots;
    private readonly ArrayView<int> endIds;
    private readonly ArrayView<int> slotRequest;
    private readonly Launch setSlot;

    private readonly ArrayView<int> request;
    private readonly ArrayView<int> listIds;
    private readonly ArrayView<float> listValues;
    private readonly Launch[] admit;
    private readonly Launch setBias;
    private readonly Launch setMask;
    private readonly IReadOnlyList<int> idsWithoutToken;
    private bool anyLogProbs;

    public Sampler(QwenModel model, DeviceMemory memory, int slotCount, int rows, int scoredRows, int contextTokens, int stepsInFlight)
    {
        device = model.Device;
        vocabularySize = model.VocabularySize;
        slots = SamplingSlots.In(memory.AllocateZeroed<byte>(SamplingSlots.SizeInBytes(slotCount, vocabularySize)), slotCount, vocabularySize);
        scratch = SamplingScratch.In(memory.AllocateZeroed<byte>(SamplingScratch.SizeInBytes(rows)), rows);
        ids = memory.AllocateZeroed<int>(rows);
        logProbs = new LogProbs(
            memory.AllocateZeroed<float>(rows),
            new Matrix<int>(memory.AllocateZeroed<int>((long)rows * MaxTop), rows, MaxTop),
            new Matrix<float>(memory.AllocateZeroed<float>((long)rows * MaxTop), rows, MaxTop));
        drawn = [.. Enumerable.Range(0, stepsInFlight).Select(_ => new DrawnTokens(memory, rows, scoredRows))];
        scores = memory.AllocateZeroed<float>(scoredRows);
        decodeSlots = new DecodeSlots(
            memory.AllocateZeroed<int>(slotCount), memory.AllocateZeroed<int>(slotCount),
            memory.AllocateZeroed<int>(slotCount), memory.AllocateZeroed<int>(slotCount));
        endIds = memory.Allocate<int>(model.ReadableEndIds.Count);
        endIds.CopyFromCPU(device.Stream, [.. model.ReadableEndIds]);
        slotRequest = memory.AllocateZeroed<int>(1 + DecodeSlots.Fields);
        setSlot = DecodeFeedback.BindSet(device.Loader, decodeSlots, slotRequest);
        idsWithoutToken = model.IdsWithoutToken;
        if (idsWithoutToken.Count > 0)
        {
            IdsWithoutToken = memory.Allocate<int>(idsWithoutToken.Count);
            IdsWithoutToken.CopyFromCPU(device.Stream, [.. idsWithoutToken]);
        }


        request = memory.AllocateZeroed<int>(2);
        listIds = memory.AllocateZeroed<int>(Math.Max(vocabularySize, contextTokens));
        listValues = memory.AllocateZeroed<float>(listIds.Length);
        admit = SlotAdmission.Bind(device.Loader, slots, request, listIds);
        setBias = SlotAdmission.BindBias(device.Loader, slots, request, listIds, listValues);
        setMask = SlotAdmission.BindMask(device.Loader, slots, request, listIds);
    }

    /// <summary>Where steps leave the log-probabilities of given tokens, for <see cref="ReadBack"/>.</summary>
    public ArrayView<float> Scores => scores;

    /// <summary>Ids below the vocabulary's size that no token has; most tokenizers leave none out.</summary>
    public ArrayView<int> IdsWithoutToken { get; }

    /// <summary>What a request's slot is to hold, without asking anything of the device.</summary>
    public SlotContents ContentsOf(GenerationRequest request) => SlotContents.Of(request, vocabularySize, idsWithoutToken, (int)slots.Parameters.Length);

    /// <summary>Prepares a request's slot for sampling and for feeding back what is drawn.</summary>
    public void Admit(SlotContents admitted)
    {
        slotRequest.CopyFromCPU(device.Stream, [admitted.Slot, 0, admitted.PromptIds.Length - 1, admitted.MaxTokens, admitted.EndsAtEndIds ? 1 : 0]);
        setSlot.Run(device.Stream);
        slots.Parameters.SubView(admitted.Slot, 1).CopyFromCPU(device.Stream, [admitted.Parameters]);
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

    /// <summary>Puts in front of a decode graph what turns the slots' last tokens into the step's inputs.</summary>
    public void RecordFeed(OpGraph graph, StepInputs inputs, StepFields fields) => graph.Add("feed_tokens", [], [], 0, () =>
    [
        DecodeFeedback.BindFeed(
            device.Loader, decodeSlots, inputs.Device(fields.LiveSlot), inputs.Device(fields.TokenIds), inputs.Device(fields.Positions), inputs.Device(fields.RowSlot)),
    ]);

    /// <summary>Appends the sampling of every logits row to a graph, and the advance of the slots.</summary>
    public void Record(OpGraph graph, Tensor logits, ArrayView<int> rowSlot)
    {
        int rows = logits.Rows;
        if (IdsWithoutToken.Length > 0)
            graph.Add("forbid_ids", [logits], [], IdsWithoutToken.Length * sizeof(int), () => [ForbidIds.Bind(device.Loader, logits.View, IdsWithoutToken)]);
        graph.Add("sample", [logits], [], 0, launches: Sampling.Launches(device.Loader), bind: () => Sampling.Bind(
            device.Loader, logits.View, vocabularySize, rowSlot, slots, scratch, ids.SubView(0, rows),
            new LogProbs(
                logProbs.Drawn.SubView(0, rows),
                new Matrix<int>(logProbs.TopIds.Data.SubView(0, (long)rows * MaxTop), rows, MaxTop),
                new Matrix<float>(logProbs.Top.Data.SubView(0, (long)rows * MaxTop), rows, MaxTop))));
        graph.Add("advance_slots", [], [], 0, () => [DecodeFeedback.BindAdvance(device.Loader, decodeSlots, rowSlot, ids.SubView(0, rows), endIds)]);
    }

    /// <summary>Takes what the step queued last drew in its first <paramref name="rows"/> logits rows and scored, for <see cref="Drawn"/> of the same ring place.</summary>
    public void ReadBack(int ring, int rows, int scoredRows)
    {
        DrawnTokens target = drawn[ring];
        target.Scores.Download(scores.SubView(0, scoredRows), device.Stream);
        target.Ids.Download(ids.SubView(0, rows), device.Stream);
        if (anyLogProbs)
        {
            target.LogProbs.Download(logProbs.Drawn.SubView(0, rows), device.Stream);
            target.TopIds.Download(logProbs.TopIds.Data.SubView(0, (long)rows * MaxTop), device.Stream);
            target.TopLogProbs.Download(logProbs.Top.Data.SubView(0, (long)rows * MaxTop), device.Stream);
        }

        target.Arrived.Record(device.Stream);
    }

    /// <summary>Waits for what <see cref="ReadBack"/> took into this ring place.</summary>
    public DrawnTokens Drawn(int ring)
    {
        drawn[ring].Arrived.Wait();
        return drawn[ring];
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
