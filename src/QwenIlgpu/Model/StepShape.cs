namespace QwenIlgpu;

/// <summary>What a step's graph depends on; everything else of a step lies in <see cref="StepInputs"/>.</summary>
/// <param name="Kind">Decode (one row a sequence) or prefill.</param>
/// <param name="Rows">T: token rows, padding included.</param>
/// <param name="Sequences">B: sequences, padding included.</param>
/// <param name="LogitRows">R: rows whose logits are computed; 0 leaves the head out.</param>
/// <param name="Chunks">64-token pieces of the sequences, for the delta rule and its snapshots; 0 in decode.</param>
/// <param name="Samples">Whether a token is drawn for each logit row.</param>
/// <param name="ScoredRows">S: rows of which the log-probability of a given token is computed, and no logits are kept.</param>
/// <param name="Snapshots">Whether other slots take states at chunks' ends.</param>
internal readonly record struct StepShape(
    StepKind Kind, int Rows, int Sequences, int LogitRows, int Chunks, bool Samples, int ScoredRows = 0, bool Snapshots = false)
{
    /// <summary>Whether the step takes its tokens and positions from what the last sampling left on the device.</summary>
    public bool FeedsBack => Kind == StepKind.Decode && Samples;

    /// <summary>Decode steps are recorded for 1, 2, 4 … 64 rows; fewer sequences are padded to the next of these.</summary>
    public static int BucketOf(int sequences) => (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)sequences);

    public static StepShape Decode(int bucket, bool samples = true) => new(StepKind.Decode, bucket, bucket, bucket, 0, samples);

    /// <summary>The shape of a step of these sequences.</summary>
    public static StepShape Of(StepKind kind, ReadOnlySpan<StepSequence> sequences, bool samples)
    {
        if (kind == StepKind.Decode)
            return Decode(BucketOf(sequences.Length), samples);
        int rows = 0;
        int logitRows = 0;
        int chunks = 0;
        bool snapshots = false;
        int scoredRows = 0;
        foreach (StepSequence sequence in sequences)
        {
            rows += sequence.Tokens.Length;
            logitRows += sequence.LogitRows;
            scoredRows += sequence.Targets.Length;
            chunks += sequence.Chunks;
            snapshots |= sequence.Snapshots is { Count: > 0 };
        }

        return new StepShape(StepKind.Prefill, rows, sequences.Length, logitRows, chunks, samples && logitRows > 0, scoredRows, snapshots);
    }

    public override string ToString() =>
        $"{(Kind == StepKind.Decode ? "decode" : "prefill")} T={Rows} B={Sequences} R={LogitRows}{(ScoredRows > 0 ? $" S={ScoredRows}" : "")}{(Samples ? "" : " no sampling")}";
}

internal enum StepKind
{
    Decode,
    Prefill,
}

/// <summary>A run of integers inside the step buffer.</summary>
internal readonly record struct StepField(int Offset, int Length)
{
    /// <summary>A run inside this one.</summary>
    public StepField Part(int first, int length) => new(Offset + first, length);
}

/// <summary>Where each field of a step of one shape lies. T rows, B sequences, R logit rows, S scored rows, C chunks, L delta layers.</summary>
internal readonly record struct StepFields
{
    public StepFields(StepShape shape, int deltaLayers)
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
            PoolRow = Take(deltaLayers * shape.Rows);
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
            PoolRow = Take(shape.Kind == StepKind.Decode ? deltaLayers * shape.Sequences : 0);
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

    /// <summary>[B] slot of each sequence: its delta states and conv tails in a step that has no padding rows.</summary>
    public StepField SequenceSlot { get; }

    /// <summary>[L, B] in decode: the row of the pool of each sequence's delta states and conv tails in each layer.</summary>
    public StepField PoolRow { get; }

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
