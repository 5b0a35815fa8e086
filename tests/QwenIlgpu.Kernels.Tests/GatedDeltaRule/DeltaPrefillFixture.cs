using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>A sequence's rows in a step, and where the state after chunks goes: a slot per chunk or −1, none where null.</summary>
internal sealed record DeltaPart(int Position, DeltaSequence Sequence, int[]? Snapshots = null);

/// <summary>Runs one step of the rule on tensor cores over packed sequences; slots hold NaN where nothing was put.</summary>
internal static class DeltaPrefillFixture
{
    public static (float[] Y, float[][] States, float[][] Extra) Run(
        TestDevice device, DeltaShape shape, DeltaStateFormat format, int extraSlots, params DeltaPart[] parts)
    {
        // Slots in descending order, then those for snapshots, and slot 0 that belongs to nobody.
        int slots = 1 + extraSlots + parts.Length;
        int SlotOf(int b) => slots - 1 - b;
        float[] pool = [.. Enumerable.Repeat(float.NaN, slots * shape.StateLength)];
        for (int b = 0; b < parts.Length; b++)
        {
            if (parts[b].Position > 0)
                parts[b].Sequence.State.CopyTo(pool, SlotOf(b) * shape.StateLength);
        }

        DeltaStates states = DeltaFixture.Upload(device, format, pool, slots);
        var step = new PackedStep([.. parts.Select((p, b) => (SlotOf(b), p.Position, p.Sequence.Rows))]);
        int capacity = ChunkList.MaxChunks(step.Rows, parts.Length) + 1;
        var firstChunk = new int[step.FirstRow.Length];
        ChunkList.Build(step.FirstRow, step.Positions, new int[capacity], new int[capacity], firstChunk);
        int[] snapshots = [.. Enumerable.Repeat(-1, capacity)];
        for (int b = 0; b < parts.Length; b++)
            parts[b].Snapshots?.CopyTo(snapshots, firstChunk[b]);

        var scratch = new DeltaPrefillScratch(
            shape, step.Rows, capacity, device.Poisoned<float>(DeltaPrefillScratch.Floats(shape, step.Rows, capacity)));
        Write(device, scratch.Qkv.Data.Cast<ushort>(), [.. parts.SelectMany(p => p.Sequence.Qkv).Select(F16.FromFloat)]);
        Write(device, scratch.Beta.Data.SubView(0, step.Rows * shape.ValueHeads), [.. parts.SelectMany(p => p.Sequence.Beta)]);
        Write(device, scratch.G.Data.SubView(0, step.Rows * shape.ValueHeads), [.. parts.SelectMany(p => p.Sequence.G)]);
        Matrix<float> y = device.Poisoned<float>(step.Rows, shape.ValueChannels);
        device.Run(DeltaPrefill.BindRule(
            device.Loader, shape, states, step.InChunks(device, spare: 1, parts.Any(p => p.Snapshots is not null) ? snapshots : null),
            scratch, y));

        float[] State(int slot) => DeltaFixture.State(device, states, slot);
        Assert.That(State(0), Has.All.NaN, "nobody's slot");
        return (
            device.Download(y), [.. parts.Select((_, b) => State(SlotOf(b)))],
            [.. Enumerable.Range(1, extraSlots).Select(State)]);
    }

    private static void Write<T>(TestDevice device, ArrayView<T> destination, T[] values)
        where T : unmanaged
    {
        destination.CopyFromCPU(device.Stream, values);
        device.Stream.Synchronize();
    }
}
