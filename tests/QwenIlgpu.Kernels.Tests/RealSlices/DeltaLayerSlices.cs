using ILGPU;
using static QwenIlgpu.Kernels.Tests.KernelTests;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>What surrounds the delta rule, of 10,240 channels, 16 key heads and 48 value heads of 128; and a whole step in one launch.</summary>
internal static class DeltaLayerSlices
{
    private const int RingRows = 7;

    private static readonly DeltaShape Real = new(16, 48, 128, 128);

    public static IEnumerable<Slice> All =>
    [
        new("CausalConv1dKernel", Convolve),
        new("ConvSnapshotKernel", Snapshot),
        new("DeltaGatesKernel", Gates),
        new("QkL2NormKernel", L2Norm),
        Inputs("Dim128", Real),
        Inputs("Dim64", new DeltaShape(4, 8, 64, 64)),
        Step("Float4, F32State", DeltaStateFormat.F32),
        Step("UInt2, F16State", DeltaStateFormat.F16),
        Step("UInt2, Bf16State", DeltaStateFormat.Bf16),
    ];

    private static SliceResult Convolve(TestDevice device)
    {
        const int Rows = 5;
        float[] x = Seeded.Floats(1, Rows * Real.Channels, 2);
        float[] weight = Seeded.Floats(2, Real.Channels * 4);
        var step = new PackedStep((1, 0, Rows));
        Matrix<float> ring = device.Poisoned<float>(2, RingRows * Real.Channels);
        Matrix<float> y = device.Poisoned<float>(Rows, Real.Channels);
        device.Run(CausalConv1d.Bind(
            device.Loader, device.Upload(x, Rows, Real.Channels), device.Upload(weight, Real.Channels, 4), ring, step.On(device), y));
        float[] actual = device.Download(y);
        float[] kept = device.Download(ring.Row(1).SubView(0, Rows * Real.Channels));

        // Four products of magnitude up to 2 and one exponential: a few units of 2^-23 each.
        return new SliceResult(() =>
        {
            AssertClose(actual, CausalConv1dReference.Run(Seeded.ToDouble(x), Seeded.ToDouble(weight), Real.Channels), 2e-6);
            Assert.That(kept.AsSpan().SequenceEqual(x), "ring");
        }).Leaving(actual).Leaving(kept);
    }

    // The rows before the end of a chunk of 64 that begins in the ring and ends in the step.
    private static SliceResult Snapshot(TestDevice device)
    {
        const int Before = 62;
        const int Rows = 3;
        float[] all = Seeded.Floats(3, (Before + Rows) * Real.Channels, 2);
        float[] rings = new float[3 * RingRows * Real.Channels];
        for (int position = Before - RingRows; position < Before; position++)
            Array.Copy(all, position * Real.Channels, rings, (RingRows + (position % RingRows)) * Real.Channels, Real.Channels);
        Matrix<float> ring = device.Upload(rings, 3, RingRows * Real.Channels);
        var step = new PackedStep((1, Before, Rows));
        device.Run(CausalConv1d.BindSnapshot(
            device.Loader, device.Upload(all[(Before * Real.Channels)..], Rows, Real.Channels), 4, ring,
            step.InChunks(device, snapshotSlot: [2, -1])));
        float[] kept = device.Download(ring.Row(2));
        return new SliceResult(() =>
        {
            for (int position = 61; position < 64; position++)
            {
                Assert.That(
                    kept.AsSpan(position % RingRows * Real.Channels, Real.Channels).SequenceEqual(all.AsSpan(position * Real.Channels, Real.Channels)),
                    $"position {position}");
            }
        }).Leaving(kept);
    }

    private static SliceResult Gates(TestDevice device)
    {
        const int Rows = 33;
        (float[] b, float[] a) = (Seeded.Floats(1, Rows * Real.ValueHeads, 6), Seeded.Floats(2, Rows * Real.ValueHeads, 6));
        (float[] aLog, float[] dtBias) = (Seeded.Floats(3, Real.ValueHeads, 2), Seeded.Floats(4, Real.ValueHeads, 3));
        Matrix<float> beta = device.Poisoned<float>(Rows, Real.ValueHeads);
        Matrix<float> g = device.Poisoned<float>(Rows, Real.ValueHeads);
        device.Run(DeltaGates.Bind(
            device.Loader, device.Upload(b, Rows, Real.ValueHeads), device.Upload(a, Rows, Real.ValueHeads), device.Upload(aLog),
            device.Upload(dtBias), beta, g));
        (float[] betas, float[] gs) = (device.Download(beta), device.Download(g));
        return new SliceResult(() => AssertGates(betas, gs, b, a, aLog, dtBias)).Leaving(betas).Leaving(gs);
    }

    private static SliceResult L2Norm(TestDevice device)
    {
        const int Rows = 2;
        float[] qkv = Seeded.Floats(5, Rows * Real.Channels, 2);
        Matrix<float> normed = device.Upload((float[])qkv.Clone(), Rows, Real.Channels);
        device.Run(QkL2Norm.Bind(device.Loader, normed, Real.KeyHeads, Real.KeyHeadDim));
        float[] actual = device.Download(normed);

        // Sums of 128 squares in float, of vectors of length 1.
        return new SliceResult(() => AssertClose(
            actual, QkL2NormReference.Run(Seeded.ToDouble(qkv), Real.Channels, Real.KeyHeads, Real.KeyHeadDim), 1e-6)).Leaving(actual);
    }

    private static Slice Inputs(string head, DeltaShape shape) => new($"DeltaInputsKernel<{head}>", device =>
    {
        const int Rows = 66;
        var layer = new DeltaStepSequence(shape, Rows, 7, 8);
        Matrix<float> ring = device.Poisoned<float>(2, RingRows * shape.Channels);
        DeltaPrefillLayer prepared = DeltaPrefillLayer.Upload(device, shape, layer, new PackedStep((1, 0, Rows)));
        device.Run(prepared.BindInputs(ring));
        float[] qkv = Array.ConvertAll(device.Download(prepared.Scratch.Qkv.Data.Cast<ushort>()), F16.ToFloat);
        float[] beta = device.Download(prepared.Scratch.Beta.Data.SubView(0, Rows * shape.ValueHeads));
        float[] g = device.Download(prepared.Scratch.G.Data.SubView(0, Rows * shape.ValueHeads));
        float[] kept = device.Download(ring.Row(1));
        return new SliceResult(() =>
        {
            double[] expected = QkL2NormReference.Run(
                CausalConv1dReference.Run(Seeded.ToDouble(layer.Mixed), Seeded.ToDouble(layer.Conv1d), shape.Channels),
                shape.Channels, shape.KeyHeads, shape.KeyHeadDim);
            for (int i = 0; i < expected.Length; i++)
            {
                // Half a unit of f16, and what the float sums before it are off by.
                if (!(Math.Abs(qkv[i] - expected[i]) <= (Math.Abs(expected[i]) / 2048) + 2e-6))
                    Assert.Fail($"row {i / shape.Channels}, channel {i % shape.Channels}: {qkv[i]} instead of {expected[i]}");
            }

            AssertGates(beta, g, layer.B, layer.A, layer.ALog, layer.DtBias);
            for (int position = Rows - 3; position < Rows; position++)
            {
                float[] row = kept[(position % RingRows * shape.Channels)..(((position % RingRows) + 1) * shape.Channels)];
                Assert.That(
                    row.AsSpan().SequenceEqual(DeltaStepSequence.Slice(layer.Mixed, shape.Channels, position, 1)), $"ring at {position}");
            }
        }).Leaving(qkv).Leaving(beta).Leaving(g).Leaving(kept);
    });

    // Two tokens of a sequence, as a draft's check has them, with a quarter of the heads.
    private static Slice Step(string state, DeltaStateFormat format) => new($"DeltaStepKernel<{state}>", device =>
    {
        var shape = new DeltaShape(4, 12, 128, 128);
        var sequence = new DeltaStepSequence(shape, 67, 5, 6);
        var slots = new DeltaStepSlots(device, shape, sequence, 2, format: format);
        slots.Enter(1, sequence, 65);
        float[] y = slots.Step((1, sequence, 65, 2));
        (float[] left, float[] nobodys) = (slots.State(1), slots.State(0));
        return new SliceResult(() =>
        {
            (double[] expected, double[] expectedState) = sequence.Reference(65);
            DeltaStepTests.AssertClose(y, expected, "y", DeltaStepTests.StateTolerance(format));
            DeltaStepTests.AssertClose(left, expectedState, "state", DeltaStepTests.StateTolerance(format));
            Assert.That(nobodys.All(float.IsNaN), "nobody's slot");
        }).Leaving(y).Leaving(left);
    });

    // Relative: exponentials at arguments of up to 20 are good to 20 · 2^-24 where they are made by exp2.
    private static void AssertGates(float[] beta, float[] g, float[] b, float[] a, float[] aLog, float[] dtBias)
    {
        const double Tolerance = 4e-6;
        (double[] expectedBeta, double[] expectedG) = DeltaGatesReference.Run(Seeded.ToDouble(b), Seeded.ToDouble(a), Seeded.ToDouble(aLog), Seeded.ToDouble(dtBias));
        double[] ones = [.. Enumerable.Repeat(1.0, beta.Length)];
        AssertClose([.. beta.Zip(expectedBeta, (x, y) => (float)(x / y))], ones, Tolerance);
        AssertClose([.. g.Zip(expectedG, (x, y) => (float)(x / y))], ones, Tolerance);
    }
}
