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

    /// <summary>A slot's state as floats.</summary>
    public static float[] State(TestDevice device, DeltaStates states, int slot) => states.Format == DeltaStateFormat.F16
        ? Array.ConvertAll(device.Download(states.Slot<ushort>(slot)), F16.ToFloat)
        : device.Download(states.Slot<float>(slot));

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
        var inputs = new DeltaRuleInputs(qkv, beta, g);
        ChunkedRows rows = step.InChunks(device, snapshotSlot: snapshotSlot);
        if (!chunked)
            return [GatedDeltaRule.BindRecurrent(device.Loader, shape, inputs, state, rows, y)];
        var scratch = new ChunkScratch(shape, device.Poisoned<float>(step.Rows, ChunkScratch.Columns(shape)));
        return GatedDeltaRule.BindChunked(device.Loader, shape, inputs, state, rows, scratch, y);
    }
}
