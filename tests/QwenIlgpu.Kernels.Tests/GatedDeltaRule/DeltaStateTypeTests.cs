namespace QwenIlgpu.Kernels.Tests;

/// <summary>The 16-bit state: what it costs in precision, and that every kernel which writes a state means the same by it.</summary>
[NonParallelizable]
internal sealed class DeltaStateTypeTests
{
    private const int Steps = 1000;

    private static readonly DeltaShape Toy = new(1, 1, 64, 64);

    [TearDown]
    public void ReleaseBuffers()
    {
        WarpDevice.ReleaseBuffers();
        PortableTests.UseNone();
    }

    // Why f16 and not bf16: over a thousand random rows with states up to about 1, the largest error of an output before the norm.
    [Test]
    public void F16KeepsEightTimesWhatBf16Keeps()
    {
        double f16 = ErrorOver<F16Format>();
        double bf16 = ErrorOver<Bf16Format>();

        TestContext.Out.WriteLine($"f16 {f16:E2}, bf16 {bf16:E2}");
        Assert.That(f16, Is.LessThanOrEqualTo(1e-3));
        Assert.That(bf16, Is.GreaterThan(4 * f16));
    }

    // The state after a row is rounded to 2^-11 of itself and forgotten at e^g; the norm divides by the root mean square of o.
    [Category("Exhaustive")]
    [Test]
    public void StepsStayWithinTheErrorOfF16()
    {
        var sequence = new DeltaStepSequence(Toy, Steps, 1, 2);
        var slots = new DeltaStepSlots(WarpDevice.Named(WarpDevice.Usual), Toy, sequence, 1, f16: true);

        float[] y = [.. Enumerable.Range(0, Steps / 8).SelectMany(i => slots.Step((0, sequence, 8 * i, 8)))];

        (double[] expected, double[] state) = sequence.Reference(0);
        DeltaStepTests.AssertClose(y, expected, "y", DeltaStepTests.F16StateTolerance);
        DeltaStepTests.AssertClose(slots.State(0), state, "state", DeltaStepTests.F16StateTolerance);
    }

    [Test]
    public void PortableKernelsKeepAnF16State([Values] bool chunked, [ValueSource(typeof(PortableTests), nameof(PortableTests.Tiers))] PortableTier tier)
    {
        TestDevice device = PortableTests.Use(tier);
        var shape = new DeltaShape(1, 3, 16, 16);
        const int Rows = 70;
        var sequence = new DeltaSequence(shape, Rows, 5);
        Matrix<ushort> state = device.Poisoned<ushort>(2, shape.StateLength);
        Matrix<float> y = device.Poisoned<float>(Rows, shape.ValueChannels);

        device.Run(DeltaFixture.Bind(
            device, chunked, shape, new PackedStep((1, 0, Rows)), device.Upload(sequence.Qkv, Rows, shape.Channels),
            device.Upload(sequence.Beta, Rows, shape.ValueHeads), device.Upload(sequence.G, Rows, shape.ValueHeads), state, y));

        (double[] expected, double[] expectedState) = sequence.Reference(0);
        DeltaStepTests.AssertClose(device.Download(y), expected, "y", 2e-3);
        DeltaStepTests.AssertClose(Array.ConvertAll(device.Download(state.Row(1)), F16.ToFloat), expectedState, "state", 2e-3);
        Assert.That(device.Download(state.Row(0)), Has.All.EqualTo(ushort.MaxValue), "nobody's slot");
    }

    [TestCase(1e5f, 65504)]
    [TestCase(-1e30f, -65504)]
    [TestCase(65519, 65504)]
    [TestCase(float.PositiveInfinity, 65504)]
    [TestCase(float.NaN, float.NaN)]
    [TestCase(1e-7f, 1.1920929e-7f)]
    public void SaturatesAndKeepsNaN(float value, float stored)
    {
        var word = new Float4(value, 1, value, -2);

        Float4 loaded = F16State.Load(F16State.Store(word));

        Assert.That(new[] { loaded.X, loaded.Y, loaded.Z, loaded.W }, Is.EqualTo(new[] { stored, 1, stored, -2 }));
    }

    // The rule in double with the state rounded after every row.
    private static double ErrorOver<TFormat>()
        where TFormat : struct, INumberFormat<ushort>
    {
        var sequence = new DeltaSequence(Toy, Steps, 9);
        double[] rounded = new double[Toy.StateLength];
        double[] exact = new double[Toy.StateLength];
        double worst = 0;
        for (int t = 0; t < Steps; t++)
        {
            DeltaSequence row = sequence.Slice(t, 1, sequence.State);
            double[] qkv = Array.ConvertAll(row.Qkv, v => (double)v);
            double[] y = GatedDeltaRuleReference.Run(qkv, [row.Beta[0]], [row.G[0]], Toy, rounded);
            double[] expected = GatedDeltaRuleReference.Run(qkv, [row.Beta[0]], [row.G[0]], Toy, exact);
            worst = Math.Max(worst, y.Zip(expected, (a, b) => Math.Abs(a - b)).Max());
            rounded = Array.ConvertAll(rounded, v => (double)TFormat.Load(TFormat.Store((float)v)));
        }

        return worst;
    }
}
