using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Runs one step of either form over packed sequences; states of sequences that start are NaN before.</summary>
internal static class DeltaFixture
{
    public static (float[] Y, float[][] States) Run(
        TestDevice device, bool chunked, DeltaShape shape, params (int Position, DeltaSequence Sequence)[] sequences) =>
        Run(device, chunked, shape, DeltaStateFormat.F32, sequences);

    public static (float[] Y, float[][] States) Run(
        TestDevice device, bool chunked, DeltaShape shape, DeltaStateFormat format, params (int Position, DeltaSequence Sequence)[] sequences)
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
        DeltaStates state = Upload(device, format, pool, slots);
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

        Assert.That(State(device, state, 0), Has.All.NaN, "nobody's slot");
        return (device.Download(y), [.. sequences.Select((_, b) => State(device, state, slots - 1 - b))]);
    }

    /// <summary>Slots that hold these numbers, rounded.</summary>
    public static DeltaStates Upload(TestDevice device, DeltaStateFormat format, float[] values, int slots)
    {
        int columns = values.Length / slots;
        return format == DeltaStateFormat.F32
            ? device.Upload(values, slots, columns)
            : new DeltaStates(device.Upload(Bits(format, values), slots, columns).Data.Cast<byte>(), format, slots, columns);
    }

    /// <summary>Slots full of NaN.</summary>
    public static DeltaStates Poisoned(TestDevice device, DeltaStateFormat format, int slots, DeltaShape shape) =>
        Upload(device, format, [.. Enumerable.Repeat(float.NaN, slots * shape.StateLength)], slots);

    /// <summary>As a format of 16 bits stores them.</summary>
    public static ushort[] Bits(DeltaStateFormat format, float[] values) => format == DeltaStateFormat.F16
        ? Array.ConvertAll(values, v => F16.FromFloat(F16State.Saturate(v)))
        : Array.ConvertAll(values, Bf16.FromFloat);

    /// <summary>What is left of a number once it has been stored.</summary>
    public static float Rounded(DeltaStateFormat format, float value) => format switch
    {
        DeltaStateFormat.F32 => value,
        DeltaStateFormat.F16 => F16.ToFloat(F16.FromFloat(F16State.Saturate(value))),
        _ => Bf16.ToFloat(Bf16.FromFloat(value)),
    };

    /// <summary>A slot's state as floats.</summary>
    public static float[] State(TestDevice device, DeltaStates states, int slot) => states.Format switch
    {
        DeltaStateFormat.F32 => device.Download(states.Slot<float>(slot)),
        DeltaStateFormat.F16 => Array.ConvertAll(device.Download(states.Slot<ushort>(slot)), F16.ToFloat),
        _ => Array.ConvertAll(device.Download(states.Slot<ushort>(slot)), Bf16.ToFloat),
    };

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
        {
            Matrix<float> unrounded = GatedDeltaRule.TakesUnrounded(device.Loader, shape, state.Format)
                ? device.Poisoned<float>(step.StateSlot.Length, shape.StateLength)
                : default;
            return [GatedDeltaRule.BindRecurrent(device.Loader, shape, inputs, state, rows, y, unrounded)];
        }

        var scratch = new ChunkScratch(shape, device.Poisoned<float>(step.Rows, ChunkScratch.Columns(shape)));
        return GatedDeltaRule.BindChunked(device.Loader, shape, inputs, state, rows, scratch, y);
    }
}
