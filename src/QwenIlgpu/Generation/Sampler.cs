using System.Diagnostics;
using ILGPU;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// The device side of sampling: per-slot parameters, bias, mask and counts; the launches that prepare a slot; drawn ids and
/// log-probabilities, read back once a step into memory taken up front.
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
    private readonly HostBuffer<int> hostIds;
    private readonly HostBuffer<float> hostDrawn;
    private readonly HostBuffer<int> hostTopIds;
    private readonly HostBuffer<float> hostTop;
    private readonly DeviceEvent drawn;

    private readonly ArrayView<int> request;
    private readonly ArrayView<int> listIds;
    private readonly ArrayView<float> listValues;
    private readonly Launch[] admit;
    private readonly Launch setBias;
    private readonly Launch setMask;
    private bool anyLogProbs;

    public Sampler(QwenModel model, DeviceMemory memory, int slotCount, int rows, int contextTokens)
    {
        device = model.Device;
        vocabularySize = model.Tokenizer.VocabularySize;
        slots = SamplingSlots.In(memory.AllocateZeroed<byte>(SamplingSlots.SizeInBytes(slotCount, vocabularySize)), slotCount, vocabularySize);
        scratch = SamplingScratch.In(memory.AllocateZeroed<byte>(SamplingScratch.SizeInBytes(rows)), rows);
        ids = memory.AllocateZeroed<int>(rows);
        logProbs = new LogProbs(
            memory.AllocateZeroed<float>(rows),
            new Matrix<int>(memory.AllocateZeroed<int>((long)rows * MaxTop), rows, MaxTop),
            new Matrix<float>(memory.AllocateZeroed<float>((long)rows * MaxTop), rows, MaxTop));
        (hostIds, hostDrawn) = (memory.AllocateHost<int>(rows), memory.AllocateHost<float>(rows));
        (hostTopIds, hostTop) = (memory.AllocateHost<int>(rows * MaxTop), memory.AllocateHost<float>(rows * MaxTop));
        drawn = memory.NewEvent();

        request = memory.AllocateZeroed<int>(2);
        listIds = memory.AllocateZeroed<int>(Math.Max(vocabularySize, contextTokens));
        listValues = memory.AllocateZeroed<float>(listIds.Length);
        admit = SlotAdmission.Bind(device.Loader, slots, request, listIds);
        setBias = SlotAdmission.BindBias(device.Loader, slots, request, listIds, listValues);
        setMask = SlotAdmission.BindMask(device.Loader, slots, request, listIds);
    }

    /// <summary>Prepares a slot for a new sequence.</summary>
    public void Admit(int slot, int[] promptIds, ResolvedSampling sampling)
    {
        slots.Parameters.SubView(slot, 1).CopyFromCPU(device.Stream, [sampling.ToSlotParameters()]);
        anyLogProbs |= sampling.TopLogProbs is not null;
        RunWithList(slot, promptIds, admit);
        if (sampling.LogitBias is { } bias)
        {
            listValues.SubView(0, bias.Count).CopyFromCPU(device.Stream, [.. bias.Values]);
            RunWithList(slot, [.. bias.Keys], setBias);
        }

        if (sampling.AllowedTokenIds is { } allowed)
            RunWithList(slot, [.. allowed.Distinct()], setMask);
    }

    /// <summary>Appends the sampling of every logits row to a graph.</summary>
    public void Record(OpGraph graph, Tensor logits, ArrayView<int> rowSlot)
    {
        int rows = logits.Rows;
        graph.Add("sample", [logits], [], 0, () => Sampling.Bind(
            device.Loader, logits.View, vocabularySize, rowSlot, slots, scratch, ids.SubView(0, rows),
            new LogProbs(
                logProbs.Drawn.SubView(0, rows),
                new Matrix<int>(logProbs.TopIds.Data.SubView(0, (long)rows * MaxTop), rows, MaxTop),
                new Matrix<float>(logProbs.Top.Data.SubView(0, (long)rows * MaxTop), rows, MaxTop))));
    }

    /// <summary>Waits for the step and copies what its first <paramref name="rows"/> logits rows drew to the host.</summary>
    public void ReadBack(int rows)
    {
        hostIds.Download(ids.SubView(0, rows), device.Stream);
        if (anyLogProbs)
        {
            hostDrawn.Download(logProbs.Drawn.SubView(0, rows), device.Stream);
            hostTopIds.Download(logProbs.TopIds.Data.SubView(0, (long)rows * MaxTop), device.Stream);
            hostTop.Download(logProbs.Top.Data.SubView(0, (long)rows * MaxTop), device.Stream);
        }

        drawn.Record(device.Stream);
        drawn.Wait();
    }

    /// <summary>The id that a logits row drew, or <see cref="Sampling.NothingDrawn"/>.</summary>
    public int IdOf(int row) => hostIds.Span[row];

    /// <summary>Hands a row's token to its reader.</summary>
    public void Write(int row, TokenStream stream) => stream.Write(
        hostIds.Span[row], Stopwatch.GetTimestamp(), hostDrawn.Span[row],
        hostTopIds.Span.Slice(row * MaxTop, MaxTop), hostTop.Span.Slice(row * MaxTop, MaxTop));

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
