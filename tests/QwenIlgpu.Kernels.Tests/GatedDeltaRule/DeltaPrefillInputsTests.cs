using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>The inputs of the chunked delta rule in one launch, against the portable kernels; and a whole layer on top of them.</summary>
[UnderSchedules]
[NonParallelizable]
internal sealed class DeltaPrefillInputsTests
{
    private const int RingRows = 7;

    private static string Device => WarpDevice.Usual;

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    // A fresh sequence over poisoned slots, one at position 37, one without rows, one of two rows at position 2 and one of a single row.
    [TestCase(1, 1, 64)]
    [TestCase(2, 6, 64)]
    [TestCase(1, 3, 128)]
    public void MatchesThePortableKernels(int keyHeads, int valueHeads, int headDim)
    {
        var shape = new DeltaShape(keyHeads, valueHeads, headDim, headDim);
        TestDevice device = WarpDevice.Named(Device);
        var step = new PackedStep((5, 0, 130), (0, 37, 66), (3, 12, 0), (2, 2, 2), (1, 4, 1));
        var layer = new DeltaStepSequence(shape, step.Rows, headDim, 7);
        float[] history = [.. Seeded.Floats(9, 6 * RingRows * shape.Channels)];
        history.AsSpan(5 * RingRows * shape.Channels).Fill(float.NaN);
        Matrix<float> Ring() => device.Upload((float[])history.Clone(), 6, RingRows * shape.Channels);
        (Matrix<float> ring, Matrix<float> portableRing) = (Ring(), Ring());
        DeltaPrefillLayer prepared = DeltaPrefillLayer.Upload(device, shape, layer, step);

        device.Run(prepared.BindInputs(ring));

        Matrix<float> qkv = device.Poisoned<float>(step.Rows, shape.Channels);
        Matrix<float> beta = device.Poisoned<float>(step.Rows, shape.ValueHeads);
        Matrix<float> g = device.Poisoned<float>(step.Rows, shape.ValueHeads);
        device.Run(
            CausalConv1d.Bind(
                device.Loader, prepared.Projections.Mixed, prepared.Parameters.Conv1d, portableRing, prepared.Rows.Rows, qkv),
            DeltaGates.Bind(
                device.Loader, prepared.Projections.B, prepared.Projections.A,
                prepared.Parameters.ALog, prepared.Parameters.DtBias, beta, g),
            QkL2Norm.Bind(device.Loader, qkv, shape.KeyHeads, shape.KeyHeadDim));

        // Half a unit of f16 and what sums in another order differ by.
        float[] expected = device.Download(qkv);
        float[] actual = Array.ConvertAll(device.Download(prepared.Scratch.Qkv.Data.Cast<ushort>()), F16.ToFloat);
        for (int i = 0; i < expected.Length; i++)
        {
            if (!(Math.Abs(actual[i] - expected[i]) <= (Math.Abs(expected[i]) * 1.001 / 2048) + 3e-8))
                Assert.Fail($"row {i / shape.Channels}, channel {i % shape.Channels}: {actual[i]} instead of {expected[i]}");
        }

        int gates = step.Rows * shape.ValueHeads;
        Assert.That(device.Download(prepared.Scratch.Beta.Data.SubView(0, gates)), Is.EqualTo(device.Download(beta)));
        Assert.That(device.Download(prepared.Scratch.G.Data.SubView(0, gates)), Is.EqualTo(device.Download(g)));
        Assert.That(device.Download(ring), Is.EqualTo(device.Download(portableRing)), "ring");
    }

    // All launches and the portable norm, a prompt in two steps: the definition of the layer.
    [Test]
    public void LayerMatchesReference()
    {
        var shape = new DeltaShape(1, 1, 64, 64);
        TestDevice device = WarpDevice.Named(Device);
        const int Rows = 100;
        var sequence = new DeltaStepSequence(shape, Rows, 3, 4);
        Matrix<float> ring = device.Poisoned<float>(2, RingRows * shape.Channels);
        Matrix<float> state = device.Poisoned<float>(2, shape.StateLength);
        var y = new List<float>();
        foreach ((int start, int rows) in new[] { (0, 64), (64, Rows - 64) })
        {
            DeltaPrefillLayer step = DeltaPrefillLayer.Upload(device, shape, sequence, new PackedStep((1, start, rows)), start);
            Matrix<float> o = device.Poisoned<float>(rows, shape.ValueChannels);
            Matrix<float> normed = device.Poisoned<float>(rows, shape.ValueChannels);
            device.Run(
            [
                step.BindInputs(ring),
                .. DeltaPrefill.BindRule(device.Loader, shape, state, step.Rows, step.Scratch, o),
                GatedRmsNorm.Bind(
                    device.Loader, o, step.Projections.Z, step.Parameters.Norm, shape.ValueHeadDim, normed, step.Parameters.Eps),
            ]);
            y.AddRange(device.Download(normed));
        }

        double[] expected = sequence.Reference(0).Y;
        double scale = Math.Sqrt(expected.Average(e => e * e));
        double error = Math.Sqrt(y.Zip(expected, (a, e) => (a - e) * (a - e)).Average()) / scale;
        TestContext.Out.WriteLine($"root mean square error {error:E2} of {scale:E2}");
        Assert.That(error, Is.LessThanOrEqualTo(1e-3));
    }
}

/// <summary>One step's operands of the prefill of a layer, on a device.</summary>
internal sealed record DeltaPrefillLayer(
    TestDevice Device,
    DeltaShape Shape,
    DeltaProjections Projections,
    DeltaParameters Parameters,
    DeltaPrefillScratch Scratch,
    ChunkedRows Rows)
{
    /// <summary>Rows of the layer from start on, as many as the step has.</summary>
    public static DeltaPrefillLayer Upload(TestDevice device, DeltaShape shape, DeltaStepSequence layer, PackedStep step, int start = 0)
    {
        Matrix<float> Rows(float[] values, int width) =>
            device.Upload(DeltaStepSequence.Slice(values, width, start, step.Rows), step.Rows, width);
        ChunkedRows rows = step.InChunks(device, spare: 1);
        int capacity = rows.Chunks.Capacity;
        return new DeltaPrefillLayer(
            device,
            shape,
            new DeltaProjections(
                Rows(layer.Mixed, shape.Channels), Rows(layer.Z, shape.ValueChannels),
                Rows(layer.B, shape.ValueHeads), Rows(layer.A, shape.ValueHeads)),
            new DeltaParameters(
                device.Upload(layer.Conv1d, shape.Channels, 4), device.Upload(layer.ALog), device.Upload(layer.DtBias),
                device.Upload(layer.Norm),
                DeltaStepSequence.Eps),
            new DeltaPrefillScratch(
                shape, step.Rows, capacity, device.Poisoned<float>(DeltaPrefillScratch.Floats(shape, step.Rows, capacity))),
            rows);
    }

    public Launch BindInputs(Matrix<float> ring) => DeltaPrefill.BindInputs(
        Device.Loader, Shape, Projections, Parameters, ring, Rows, Scratch);
}
