using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Everything that changes from step to step, as 32-bit integers in one device buffer that is filled by one upload. The fields'
/// places follow from the shape, so a graph's kernels keep their arguments for life.
/// </summary>
internal sealed class StepInputs
{
    // A step can be filled while the upload of the one before is still queued.
    private const int Stagings = 2;

    private readonly ComputeDevice device;
    private readonly ArrayView<int> buffer;
    private readonly HostBuffer<int>[] stagings = new HostBuffer<int>[Stagings];
    private readonly DeviceEvent[] uploads = new DeviceEvent[Stagings];
    private int current;

    /// <summary>For steps of up to so many integers. With memory that only measures steps can be recorded, and none be filled or bound.</summary>
    public StepInputs(ComputeDevice device, DeviceMemory memory, int capacity)
    {
        this.device = device;
        buffer = memory.AllocateZeroed<int>(capacity);
        for (int i = 0; i < Stagings; i++)
            (stagings[i], uploads[i]) = (memory.AllocateHost<int>(capacity), memory.NewEvent());
    }

    /// <summary>Integers that a step of this shape takes.</summary>
    public static int CountFor(StepShape shape, int deltaLayers) => new StepFields(shape, deltaLayers).Count;

    public Span<int> Host(StepField field) => stagings[current].Span.Slice(field.Offset, field.Length);

    public ArrayView<int> Device(StepField field) => buffer.Length == 0 ? default : buffer.SubView(field.Offset, field.Length);

    /// <summary>The rows of a step, as operations on pages take them.</summary>
    public PagedRows PagedRows(StepFields fields, Matrix<int> pageTable) => new(Device(fields.RowSlot), Device(fields.Positions), pageTable);

    /// <summary>The sequences of a step and the 64-token pieces of them, as operations on states take them.</summary>
    public ChunkedRows ChunkedRows(StepFields fields) => new(
        new SlotRows(Device(fields.FirstRow), Device(fields.Positions), Device(fields.SequenceSlot)),
        new ChunkList(Device(fields.ChunkFirstRow), Device(fields.ChunkRows), Device(fields.FirstChunk)),
        fields.SnapshotSlot.Length > 0 ? Device(fields.SnapshotSlot) : null);

    /// <summary>The sequences of a decode step, as operations on the pool of states take them in the delta layer that so many others are before.</summary>
    public SlotRows PooledRows(StepFields fields, int deltaLayer)
    {
        int sequences = fields.SequenceSlot.Length;
        return new SlotRows(
            Device(fields.FirstRow), Device(fields.Positions), Device(fields.PoolRow.Part(deltaLayer * sequences, sequences)));
    }

    // Host values may be written from now on.
    private void Begin()
    {
        current = (current + 1) % Stagings;
        if (!uploads[current].IsReached)
            uploads[current].Wait();
    }

    /// <summary>Queues the copy of the host values of a step of this shape to the device.</summary>
    public void Upload(StepFields fields)
    {
        stagings[current].Upload(buffer.SubView(0, fields.UploadedCount), device.Stream);
        uploads[current].Record(device.Stream);
    }

    /// <summary>Starts a decode step of these slots, whose tokens the device knows.</summary>
    public void FillSlots(StepFields fields, StepShape shape, ReadOnlySpan<int> slots)
    {
        Begin();
        Span<int> liveSlot = Host(fields.LiveSlot);
        liveSlot.Clear();
        slots.CopyTo(liveSlot);
        for (int row = 0; row <= shape.Sequences; row++)
            Host(fields.FirstRow)[row] = row;
        for (int row = 0; row < shape.LogitRows; row++)
            Host(fields.LogitRow)[row] = row;
    }

    /// <summary>Starts a step of these sequences in a state of a capacity.</summary>
    public void Fill(StepFields fields, StepShape shape, ReadOnlySpan<StepSequence> sequences, EngineCapacity capacity)
    {
        Begin();
        Span<int> ids = Host(fields.TokenIds);
        Span<int> positions = Host(fields.Positions);
        Span<int> rowSlot = Host(fields.RowSlot);
        Span<int> firstRow = Host(fields.FirstRow);
        Span<int> sequenceSlot = Host(fields.SequenceSlot);
        Span<int> logitRow = Host(fields.LogitRow);
        Span<int> logitSlot = Host(fields.LogitSlot);
        Span<int> scoredRow = Host(fields.ScoredRow);
        Span<int> scoredTarget = Host(fields.ScoredTarget);
        int row = 0;
        int logit = 0;
        int scored = 0;
        for (int s = 0; s < sequences.Length; s++)
        {
            StepSequence sequence = sequences[s];
            ReadOnlySpan<int> tokens = sequence.Tokens.Span;
            firstRow[s] = row;
            sequenceSlot[s] = sequence.Slot;
            for (int i = 0; i < sequence.LogitRows; i++, logit++)
            {
                logitRow[logit] = row + tokens.Length - sequence.LogitRows + i;
                logitSlot[logit] = sequence.Slot;
            }

            ReadOnlySpan<int> targets = sequence.Targets.Span;
            for (int i = 0; i < targets.Length; i++, scored++)
                (scoredRow[scored], scoredTarget[scored]) = (row + i, targets[i]);

            for (int i = 0; i < tokens.Length; i++, row++)
            {
                ids[row] = tokens[i];
                positions[row] = sequence.Position + i;
                rowSlot[row] = sequence.Slot;
            }
        }

        // Padding rows are one-token sequences in the reserved slot.
        for (int s = sequences.Length; s < shape.Sequences; s++, row++, logit++)
        {
            (firstRow[s], sequenceSlot[s], ids[row], positions[row], rowSlot[row]) = (row, 0, 0, 0, 0);
            if (logit < logitRow.Length)
                (logitRow[logit], logitSlot[logit]) = (row, 0);
        }

        firstRow[shape.Sequences] = row;
        if (shape.Kind == StepKind.Prefill)
        {
            ChunkList.Build(firstRow, positions, Host(fields.ChunkFirstRow), Host(fields.ChunkRows), Host(fields.FirstChunk));
            FillSnapshots(fields, sequences);
        }

        Span<int> poolRow = Host(fields.PoolRow);
        for (int i = 0; i < poolRow.Length; i++)
            poolRow[i] = ModelState.PoolRow(capacity, i / shape.Sequences, sequenceSlot[i % shape.Sequences]);
    }

    private void FillSnapshots(StepFields fields, ReadOnlySpan<StepSequence> sequences)
    {
        Span<int> snapshotSlot = Host(fields.SnapshotSlot);
        ReadOnlySpan<int> firstChunk = Host(fields.FirstChunk);
        snapshotSlot.Fill(-1);
        for (int s = 0; s < sequences.Length; s++)
        {
            foreach (StateSnapshot snapshot in sequences[s].Snapshots ?? [])
            {
                if (Host(fields.SequenceSlot).Contains(snapshot.Slot))
                    throw new ArgumentException($"a snapshot would go to slot {snapshot.Slot}, which a sequence of the step has");
                snapshotSlot[firstChunk[s] + sequences[s].ChunkOf(snapshot)] = snapshot.Slot;
            }
        }
    }
}
