using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>How sequences are packed into a step, back to back: its shape, and what the host writes into its inputs.</summary>
internal static class StepPacking
{
    /// <summary>The shape of a step of these sequences.</summary>
    public static StepShape ShapeOf(StepKind kind, ReadOnlySpan<StepSequence> sequences, bool samples)
    {
        if (kind == StepKind.Decode)
            return StepShape.Decode(StepShape.BucketOf(sequences.Length), samples);
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

    /// <summary>Starts a decode step of these slots, whose tokens the device knows.</summary>
    public static void FillSlots(StepInputs inputs, StepFields fields, StepShape shape, ReadOnlySpan<int> slots)
    {
        inputs.Begin();
        Span<int> liveSlot = inputs.Host(fields.LiveSlot);
        liveSlot.Clear();
        slots.CopyTo(liveSlot);
        for (int row = 0; row <= shape.Sequences; row++)
            inputs.Host(fields.FirstRow)[row] = row;
        for (int row = 0; row < shape.LogitRows; row++)
            inputs.Host(fields.LogitRow)[row] = row;
    }

    /// <summary>Starts a step of these sequences.</summary>
    public static void Fill(StepInputs inputs, StepFields fields, StepShape shape, ReadOnlySpan<StepSequence> sequences)
    {
        inputs.Begin();
        Span<int> ids = inputs.Host(fields.TokenIds);
        Span<int> positions = inputs.Host(fields.Positions);
        Span<int> rowSlot = inputs.Host(fields.RowSlot);
        Span<int> firstRow = inputs.Host(fields.FirstRow);
        Span<int> sequenceSlot = inputs.Host(fields.SequenceSlot);
        Span<int> logitRow = inputs.Host(fields.LogitRow);
        Span<int> logitSlot = inputs.Host(fields.LogitSlot);
        Span<int> scoredRow = inputs.Host(fields.ScoredRow);
        Span<int> scoredTarget = inputs.Host(fields.ScoredTarget);
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
            ChunkList.Build(firstRow, positions, inputs.Host(fields.ChunkFirstRow), inputs.Host(fields.ChunkRows), inputs.Host(fields.FirstChunk));
            FillSnapshots(inputs, fields, sequences);
        }
    }

    private static void FillSnapshots(StepInputs inputs, StepFields fields, ReadOnlySpan<StepSequence> sequences)
    {
        Span<int> snapshotSlot = inputs.Host(fields.SnapshotSlot);
        ReadOnlySpan<int> firstChunk = inputs.Host(fields.FirstChunk);
        snapshotSlot.Fill(-1);
        for (int s = 0; s < sequences.Length; s++)
        {
            foreach (StateSnapshot snapshot in sequences[s].Snapshots ?? [])
            {
                if (inputs.Host(fields.SequenceSlot).Contains(snapshot.Slot))
                    throw new ArgumentException($"a snapshot would go to slot {snapshot.Slot}, which a sequence of the step has");
                snapshotSlot[firstChunk[s] + sequences[s].ChunkOf(snapshot)] = snapshot.Slot;
            }
        }
    }
}
