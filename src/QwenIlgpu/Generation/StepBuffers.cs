using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// The device memory of an engine besides weights and activations. A plan measures it and a <see cref="StepRunner"/> takes it, both by
/// making one of these, so that neither can know of something that the other does not.
/// </summary>
internal sealed class StepBuffers
{
    /// <summary>For steps of this capacity, those of a prompt of at most <paramref name="chunkTokens"/>.</summary>
    public StepBuffers(QwenModel model, DeviceMemory memory, EngineCapacity capacity, int chunkTokens)
    {
        State = new ModelState(model.Device, memory, model.Config, capacity);
        int rows = Math.Max(chunkTokens, capacity.MaxSequences);
        int sequences = Math.Max(StepShape.BucketOf(capacity.MaxSequences), capacity.MaxSequences);
        StepShape[] largest =
        [
            new StepShape(
                StepKind.Prefill, Math.Max(rows, sequences), sequences, Math.Max(rows, sequences), ChunkList.MaxChunks(rows, sequences),
                Samples: true, ScoredRows: rows, Snapshots: true),
            StepShape.Decode(sequences),
            StepShape.Decode(sequences, samples: false),
        ];
        Inputs = new StepInputs(model.Device, memory, largest.Max(shape => StepInputs.CountFor(shape, State.DeltaLayerCount)));
        int[] needs = [DecodePlan.MaxTickets, PrefillPlan.MaxTickets(rows), DecodeAttention.Tickets(sequences, model.Config.NumKeyValueHeads)];
        Tickets = memory.AllocateZeroed<int>(needs.Max());
        Sampling = new SamplingState(
            model.Device, memory, model.SamplingVocabulary, capacity.Slots, sequences, scoredRows: rows, capacity.ContextTokens);
        (Rows, Sequences) = (rows, sequences);
    }

    /// <summary>Caches and states of all sequences.</summary>
    public ModelState State { get; }

    /// <summary>What changes from step to step.</summary>
    public StepInputs Inputs { get; }

    /// <summary>What tokens are drawn in.</summary>
    public SamplingState Sampling { get; }

    /// <summary>Groups of one launch that gather each other's partial sums draw one each. Zero between launches, so all launches share them.</summary>
    public ArrayView<int> Tickets { get; }

    /// <summary>Most rows of a prefill step.</summary>
    public int Rows { get; }

    /// <summary>Most sequences of a step, padding included.</summary>
    public int Sequences { get; }

    /// <summary>Bytes on the device that one of these takes.</summary>
    public static long Measure(QwenModel model, EngineCapacity capacity, int chunkTokens) => DeviceMemory.Measure(
        model.Device, measuring => _ = new StepBuffers(model, measuring, capacity, chunkTokens));
}
