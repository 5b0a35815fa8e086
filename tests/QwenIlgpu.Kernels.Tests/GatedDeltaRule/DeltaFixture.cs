using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Runs one step of either form over packed sequences; states of sequences that start are NaN before.</summary>
internal static class DeltaFixture
{
    public static (float[] Y, float[][] States) Run(
        TestDevice device, bool chunked, DeltaShape shape, params (int Position, DeltaSequence Sequence)[] sequences)
    {
        // Slots in descending order, and one more that belongs to nobody.
        int slots = sequences.Length + 1;
        float[] pool = [.. Enumerable.Repeat(float.NaN, slots * shape.StateLength)];
        for (int b = 0; b < sequences.Length; b++)
        {
            if (sequences[b].Position > 0)
                sequences[b].Sequence.State.CopyTo(pool, (slots - 1 - b) * shape.StateLength);
        }

        var step = new PackedStep([.. sequences.Select((s, b) => (slots - 1 - b, s.Position, s.Sequence.Rows))]);
        Matrix<float> state = device.Upload(pool, slots, shape.StateLength);
        Matrix<float> y = device.Poisoned<float>(step.Rows, shape.ValueChannels);
        device.Run(Bind(
            device,
            chunked,
            shape,
            step,
            device.Upload<float>([.. sequences.SelectMany(s => s.Sequence.Qkv)], step.Rows, shape.Channels),
            device.Upload<float>([.. sequences.SelectMany(s => s.Sequence.Beta)], step.Rows, shape.ValueHeads),
            device.Upload<float>([.. sequences.SelectMany(s => s.Sequence.G)], step.Rows, shape.ValueHeads),
            state,
            y));

        Assert.That(device.Download(state.Row(0)), Has.All.NaN, "nobody's slot");
        return (device.Download(y), [.. sequences.Select((_, b) => device.Download(state.Row(slots - 1 - b)))]);
    }

    public static Launch[] Bind(
        TestDevice device,
        bool chunked,
        DeltaShape shape,
        PackedStep step,
        Matrix<float> qkv,
        Matrix<float> beta,
        Matrix<float> g,
        DeltaStates state,
        Matrix<float> y,
        int[]? snapshotSlot = null)
    {
        ArrayView<int> firstRow = device.Upload(step.FirstRow);
        ArrayView<int> positions = device.Upload(step.Positions);
        ArrayView<int> stateSlot = device.Upload(step.StateSlot);
        if (!chunked && snapshotSlot is null)
            return [GatedDeltaRule.BindRecurrent(device.Loader, qkv, beta, g, shape, state, firstRow, positions, stateSlot, y)];

        int capacity = ChunkList.MaxChunks(step.Rows, step.StateSlot.Length);
        var chunkFirstRow = new int[capacity];
        var chunkRows = new int[capacity];
        var firstChunk = new int[step.FirstRow.Length];
        ChunkList.Build(step.FirstRow, step.Positions, chunkFirstRow, chunkRows, firstChunk);
        var chunks = new ChunkList(device.Upload(chunkFirstRow), device.Upload(chunkRows), device.Upload(firstChunk));
        ArrayView<int>? snapshots = snapshotSlot is null
            ? null
            : device.Upload<int>([.. snapshotSlot, .. Enumerable.Repeat(-1, capacity - snapshotSlot.Length)]);
        if (!chunked)
            return [GatedDeltaRule.BindRecurrent(device.Loader, qkv, beta, g, shape, state, firstRow, positions, stateSlot, y, chunks, snapshots)];

        var scratch = new ChunkScratch(shape, device.Poisoned<float>(step.Rows, ChunkScratch.Columns(shape)));
        return GatedDeltaRule.BindChunked(device.Loader, qkv, beta, g, shape, state, firstRow, positions, stateSlot, chunks, scratch, y, snapshots);
    }
}
