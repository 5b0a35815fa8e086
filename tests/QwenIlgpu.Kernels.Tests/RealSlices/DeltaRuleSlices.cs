using static QwenIlgpu.Kernels.Tests.KernelTests;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// The gated delta rule with heads of 128, three value heads to a key head: four key heads of sixteen row by row, two in chunks; heads of 64
/// are of other models.
/// </summary>
internal static class DeltaRuleSlices
{
    // Outputs and states up to about 1; each row rounds sums of up to 128 products, and the decay forgets old errors.
    private const double RecurrentTolerance = 1e-5;
    private const double ChunkedTolerance = 1e-4;

    private static readonly DeltaShape Recurrent = new(4, 12, 128, 128);
    private static readonly DeltaShape Chunked = new(2, 6, 128, 128);

    public static IEnumerable<Slice> All =>
    [
        Portable(["RecurrentDeltaRuleKernel<Float4, F32State>"], Recurrent, 5, chunked: false, DeltaStateFormat.F32, snapshots: false),
        Portable(["RecurrentDeltaRuleKernel<UInt2, F16State>"], Recurrent, 5, chunked: false, DeltaStateFormat.F16, snapshots: false),
        Portable(["RecurrentDeltaRuleKernel<UInt2, Bf16State>"], Recurrent, 5, chunked: false, DeltaStateFormat.Bf16, snapshots: false),
        Portable(["RecurrentPrefillKernel<Float4, F32State>"], Chunked, 70, chunked: false, DeltaStateFormat.F32, snapshots: true),
        Portable(["RecurrentPrefillKernel<UInt2, F16State>"], Chunked, 70, chunked: false, DeltaStateFormat.F16, snapshots: true),
        Portable(["RecurrentPrefillKernel<UInt2, Bf16State>"], Chunked, 70, chunked: false, DeltaStateFormat.Bf16, snapshots: true),
        Portable(
            ["ChunkTrianglesKernel", "ChunkSolveKernel", "ChunkScanKernel<Float4, F32State>"],
            Chunked, 70, chunked: true, DeltaStateFormat.F32, snapshots: true),
        Portable(["ChunkScanKernel<UInt2, F16State>"], Chunked, 70, chunked: true, DeltaStateFormat.F16, snapshots: true),
        Portable(["ChunkScanKernel<UInt2, Bf16State>"], Chunked, 70, chunked: true, DeltaStateFormat.Bf16, snapshots: true),
        TensorCores(
            ["ChunkPrepareKernel<Dim128>", Scan("Dim128, Float4, F32State")], new DeltaShape(2, 6, 128, 128), DeltaStateFormat.F32),
        TensorCores([Scan("Dim128, UInt2, F16State")], new DeltaShape(2, 6, 128, 128), DeltaStateFormat.F16),
        TensorCores([Scan("Dim128, UInt2, Bf16State")], new DeltaShape(2, 6, 128, 128), DeltaStateFormat.Bf16),
        TensorCores(
            ["ChunkPrepareKernel<Dim64>", Scan("Dim64, Float4, F32State")], new DeltaShape(2, 6, 64, 64), DeltaStateFormat.F32),
    ];

    private static string Scan(string arguments) => $"TensorCoreChunkScanKernel<{arguments}>";

    // A prompt's first rows in slot 1; where there are snapshots, its state after a chunk of 64 in slot 2. Slot 0 is nobody's.
    private static Slice Portable(
        string[] kernels, DeltaShape shape, int rows, bool chunked, DeltaStateFormat format, bool snapshots) => new(kernels, device =>
    {
        var sequence = new DeltaSequence(shape, rows, rows + shape.Channels);
        DeltaStates state = DeltaFixture.Poisoned(device, format, 3, shape);
        Matrix<float> y = device.Poisoned<float>(rows, shape.ValueChannels);
        device.Run(DeltaFixture.Bind(
            device, chunked, shape, new PackedStep((1, 0, rows)), device.Upload(sequence.Qkv, rows, shape.Channels),
            device.Upload(sequence.Beta, rows, shape.ValueHeads), device.Upload(sequence.G, rows, shape.ValueHeads), state, y,
            snapshots ? [2, -1] : null));
        float[] actual = device.Download(y);
        float[][] states = [.. Enumerable.Range(0, 3).Select(slot => DeltaFixture.State(device, state, slot))];
        return new SliceResult(() =>
        {
            double tolerance = (chunked ? ChunkedTolerance : RecurrentTolerance) + DeltaStateTypeTests.Unit(format);
            (double[] expected, double[] expectedState) = sequence.Reference(0, format);
            AssertClose(actual, expected, tolerance);
            AssertClose(states[1], expectedState, tolerance);
            if (snapshots)
                AssertClose(states[2], sequence.Slice(0, 64, sequence.State).Reference(0, format).State, tolerance);
            Assert.That(states[0].All(float.IsNaN), "nobody's slot");
        }).Leaving(actual).Leaving(states[1]);
    });

    // A sequence that begins, with a snapshot after its first chunk, and one that goes on within a chunk.
    private static Slice TensorCores(string[] kernels, DeltaShape shape, DeltaStateFormat format) => new(kernels, device =>
    {
        DeltaPart[] parts = [new(0, new DeltaSequence(shape, 130, 5), [1, -1, -1]), new(37, new DeltaSequence(shape, 60, 6))];
        (float[] y, float[][] states, float[][] snapshots) = DeltaPrefillFixture.Run(device, shape, format, 1, parts);
        return new SliceResult(() =>
        {
            double factor = DeltaPrefillTests.StateFactor(format);
            double[][] expected = [.. parts.Select(p => p.Sequence.Reference(p.Position, format).Y)];
            DeltaPrefillTests.AssertClose(y, [.. expected.SelectMany(e => e)], "y");
            for (int b = 0; b < parts.Length; b++)
                DeltaPrefillTests.AssertClose(states[b], parts[b].Sequence.Reference(parts[b].Position, format).State, $"state {b}", factor);
            DeltaSequence first = parts[0].Sequence;
            DeltaPrefillTests.AssertClose(snapshots[0], first.Slice(0, 64, first.State).Reference(0, format).State, "snapshot", factor);
        }).Leaving(y).Leaving(states[0]).Leaving(states[1]);
    });
}
