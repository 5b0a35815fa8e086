using ILGPU;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// The device memory that tokens are drawn in: per slot its parameters, bias, mask, counts and the token that it feeds next; per step what
/// it drew and scored.
/// </summary>
internal sealed class SamplingState
{
    private const int MaxTop = SlotParameters.MaxTopLogProbs;

    private readonly ArrayView<int> ids;
    private readonly LogProbs logProbs;

    /// <summary>
    /// For so many slots, the reserved one included, steps of at most so many rows that draw and that are scored, and lists of so many
    /// tokens. Memory that only measures has views of none of it.
    /// </summary>
    public SamplingState(
        ComputeDevice device, DeviceMemory memory, SamplingVocabulary vocabulary, int slots, int rows, int scoredRows, int contextTokens)
    {
        VocabularySize = vocabulary.Size;
        ArrayView<byte> slotMemory = memory.AllocateZeroed<byte>(SamplingSlots.SizeInBytes(slots, VocabularySize));
        ArrayView<byte> scratchMemory = memory.AllocateZeroed<byte>(SamplingScratch.SizeInBytes(rows));
        if (!memory.IsMeasuring)
        {
            Slots = SamplingSlots.In(slotMemory, slots, VocabularySize);
            Scratch = SamplingScratch.In(scratchMemory, rows);
        }

        ids = memory.AllocateZeroed<int>(rows);
        logProbs = new LogProbs(
            memory.AllocateZeroed<float>(rows),
            new Matrix<int>(memory.AllocateZeroed<int>((long)rows * MaxTop), rows, MaxTop),
            new Matrix<float>(memory.AllocateZeroed<float>((long)rows * MaxTop), rows, MaxTop));
        Scores = memory.AllocateZeroed<float>(scoredRows);
        DecodeSlots = new DecodeSlots(
            memory.AllocateZeroed<int>(slots), memory.AllocateZeroed<int>(slots),
            memory.AllocateZeroed<int>(slots), memory.AllocateZeroed<int>(slots));
        SlotRequest = memory.AllocateZeroed<int>(SlotRequestLength);
        Request = memory.AllocateZeroed<int>(2);
        int listTokens = Math.Max(VocabularySize, contextTokens);
        ListIds = memory.AllocateZeroed<int>(listTokens);
        ListValues = memory.AllocateZeroed<float>(listTokens);
        EndIds = Upload(device, memory, [.. vocabulary.EndIds]);
        if (vocabulary.IdsWithoutToken.Count > 0)
            IdsWithoutToken = Upload(device, memory, [.. vocabulary.IdsWithoutToken]);
    }

    /// <summary>Integers that prepare a slot for feeding back.</summary>
    public static int SlotRequestLength => 1 + DecodeSlots.Fields;

    /// <summary>Ids below it can be drawn; columns of logits from there on pad the head.</summary>
    public int VocabularySize { get; }

    /// <summary>Ids below the vocabulary's size that no token has, whose probability is 0; most tokenizers leave none out.</summary>
    public ArrayView<int> IdsWithoutToken { get; }

    /// <summary>Ids that end a turn.</summary>
    public ArrayView<int> EndIds { get; }

    public SamplingSlots Slots { get; }

    public SamplingScratch Scratch { get; }

    /// <summary>What the next decode step feeds.</summary>
    public DecodeSlots DecodeSlots { get; }

    /// <summary>[<see cref="SlotRequestLength"/>] what prepares a slot for feeding back.</summary>
    public ArrayView<int> SlotRequest { get; }

    /// <summary>[2] the slot that a list is for, and the list's length.</summary>
    public ArrayView<int> Request { get; }

    /// <summary>Ids of a list: a prompt, or the ids that a bias or a mask names.</summary>
    public ArrayView<int> ListIds { get; }

    /// <summary>A value for each of <see cref="ListIds"/>.</summary>
    public ArrayView<float> ListValues { get; }

    /// <summary>[S] log-probabilities of given tokens.</summary>
    public ArrayView<float> Scores { get; }

    /// <summary>[R] drawn ids of so many rows.</summary>
    public ArrayView<int> Ids(int rows) => ids.SubView(0, rows);

    /// <summary>Log-probabilities of the tokens drawn in so many rows, and the likeliest tokens beside them.</summary>
    public LogProbs LogProbs(int rows) => new(
        logProbs.Drawn.SubView(0, rows),
        new Matrix<int>(logProbs.TopIds.Data.SubView(0, (long)rows * MaxTop), rows, MaxTop),
        new Matrix<float>(logProbs.Top.Data.SubView(0, (long)rows * MaxTop), rows, MaxTop));

    private static ArrayView<int> Upload(ComputeDevice device, DeviceMemory memory, int[] values)
    {
        ArrayView<int> view = memory.Allocate<int>(values.Length);
        if (!memory.IsMeasuring)
            view.CopyFromCPU(device.Stream, values);
        return view;
    }
}

/// <summary>The ids that can be drawn.</summary>
/// <param name="Size">Ids are below it.</param>
/// <param name="EndIds">Those that end a turn.</param>
/// <param name="IdsWithoutToken">Those that no token has, ascending.</param>
internal sealed record SamplingVocabulary(int Size, IReadOnlySet<int> EndIds, IReadOnlyList<int> IdsWithoutToken);
