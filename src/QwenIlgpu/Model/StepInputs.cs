using ILGPU;

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

    public StepInputs(ComputeDevice device, DeviceMemory memory, int capacity)
    {
        this.device = device;
        buffer = memory.AllocateZeroed<int>(capacity);
        for (int i = 0; i < Stagings; i++)
            (stagings[i], uploads[i]) = (memory.AllocateHost<int>(capacity), memory.NewEvent());
    }

    /// <summary>Integers that a step of this shape takes.</summary>
    public static int CountFor(StepShape shape) => new StepFields(shape).Count;

    public StepFields FieldsOf(StepShape shape) => new(shape);

    public Span<int> Host(StepField field) => stagings[current].Span.Slice(field.Offset, field.Length);

    public ArrayView<int> Device(StepField field) => buffer.SubView(field.Offset, field.Length);

    /// <summary>Starts a new step: host values may be written from now on.</summary>
    public void Begin()
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
}

/// <summary>A run of integers inside the step buffer.</summary>
internal readonly record struct StepField(int Offset, int Length);

/// <summary>Where each field of a step of one shape lies. T rows, B sequences, R logit rows, S scored rows, C chunks.</summary>
internal readonly record struct StepFields
{
    public StepFields(StepShape shape)
    {
        int next = 0;
        StepField Take(int length)
        {
            var field = new StepField(next, length);
            next += length;
            return field;
        }

        FirstRow = Take(shape.Sequences + 1);
        LogitRow = Take(shape.LogitRows);
        if (shape.FeedsBack)
        {
            // The device fills in the rest from the slots; each row is a sequence and a logits row of the same slot.
            LiveSlot = Take(shape.Rows);
            UploadedCount = next;
            TokenIds = Take(shape.Rows);
            Positions = Take(shape.Rows);
            SequenceSlot = LogitSlot = RowSlot = Take(shape.Rows);
        }
        else
        {
            TokenIds = Take(shape.Rows);
            Positions = Take(shape.Rows);
            RowSlot = Take(shape.Rows);
            SequenceSlot = Take(shape.Sequences);
            LogitSlot = Take(shape.LogitRows);
            ChunkFirstRow = Take(shape.Chunks);
            ChunkRows = Take(shape.Chunks);
            FirstChunk = Take(shape.Sequences + 1);
            SnapshotSlot = Take(shape.Snapshots ? shape.Chunks : 0);
            ScoredRow = Take(shape.ScoredRows);
            ScoredTarget = Take(shape.ScoredRows);
            UploadedCount = next;
        }

        Count = next;
    }

    /// <summary>[M] in a step that feeds back: the slot of each row, 0 for padding.</summary>
    public StepField LiveSlot { get; }

    /// <summary>[T] token id of each row.</summary>
    public StepField TokenIds { get; }

    /// <summary>[T] absolute position of each row in its sequence.</summary>
    public StepField Positions { get; }

    /// <summary>[T] slot of the row's sequence: its row in the page table.</summary>
    public StepField RowSlot { get; }

    /// <summary>[B + 1] first row of each sequence, and T.</summary>
    public StepField FirstRow { get; }

    /// <summary>[B] slot of each sequence: its delta states and conv tails.</summary>
    public StepField SequenceSlot { get; }

    /// <summary>[R] row of the step that each logits row is computed from.</summary>
    public StepField LogitRow { get; }

    /// <summary>[R] slot whose sampling parameters each logits row uses.</summary>
    public StepField LogitSlot { get; }

    /// <summary>[C] first row of each delta-rule chunk.</summary>
    public StepField ChunkFirstRow { get; }

    /// <summary>[C] rows in each chunk, 1 to 64.</summary>
    public StepField ChunkRows { get; }

    /// <summary>[B + 1] first chunk of each sequence, and C.</summary>
    public StepField FirstChunk { get; }

    /// <summary>[C] in a step with snapshots: the slot that takes the state after each chunk, or −1.</summary>
    public StepField SnapshotSlot { get; }

    /// <summary>[S] row of the step of each scored row.</summary>
    public StepField ScoredRow { get; }

    /// <summary>[S] the token whose log-probability each scored row gives.</summary>
    public StepField ScoredTarget { get; }

    public int Count { get; }

    /// <summary>Leading integers that the host writes; the device writes the rest.</summary>
    public int UploadedCount { get; }
}
