namespace QwenIlgpu.Kernels.Tests;

/// <summary>The states of 16 bits: what they cost in precision, and that every kernel which writes one means the same by it.</summary>
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

    /// <summary>
    /// The step from one number of a type to the next between 1 and 2, which no state of the tests leaves: where a kernel's float lies on the
    /// other side of a middle than the reference's double, what they store differs by that.
    /// </summary>
    internal static double Unit(DeltaStateFormat format) => format switch
    {
        DeltaStateFormat.F32 => 0,
        DeltaStateFormat.F16 => 1.0 / 1024,
        _ => 1.0 / 128,
    };

    // The default of 16 bits would be f16: over a thousand random rows with states up to about 1, the largest error of an output before the
    // norm. Half a unit of a state up to 1 is 2^-12 in f16 and 2^-9 in bf16; an output weighs 64 such errors, independent of one another, by
    // a query of length 1/8, so an eighth of them is left, and the decay forgets those of earlier rows. Measured: 2.4e-5 and 1.7e-4.
    [Test]
    public void F16KeepsEightTimesWhatBf16Keeps()
    {
        double f16 = ErrorOver<F16Format>();
        double bf16 = ErrorOver<Bf16Format>();

        TestContext.Out.WriteLine($"f16 {f16:E2}, bf16 {bf16:E2}");
        Assert.That(f16, Is.LessThanOrEqualTo(1.0 / (8 * 4096)));
        Assert.That(bf16, Is.LessThanOrEqualTo(1.0 / (8 * 512)));
        Assert.That(bf16, Is.GreaterThan(4 * f16));
    }

    // The state after a row is rounded to 2^-11 or 2^-8 of itself and forgotten at e^g; the norm divides by the root mean square of o.
    [Category("Exhaustive")]
    [TestCase(DeltaStateFormat.F16)]
    [TestCase(DeltaStateFormat.Bf16)]
    public void StepsStayWithinTheErrorOfTheType(DeltaStateFormat format)
    {
        var sequence = new DeltaStepSequence(Toy, Steps, 1, 2);
        var slots = new DeltaStepSlots(WarpDevice.Named(WarpDevice.Usual), Toy, sequence, 1, format: format);

        float[] y = [.. Enumerable.Range(0, Steps / 8).SelectMany(i => slots.Step((0, sequence, 8 * i, 8)))];

        (double[] expected, double[] state) = sequence.Reference(0);
        DeltaStepTests.AssertClose(y, expected, "y", DeltaStepTests.StateTolerance(format));
        DeltaStepTests.AssertClose(slots.State(0), state, "state", DeltaStepTests.StateTolerance(format));
    }

    // Entered within a chunk, and two boundaries on the way: rounded there and at the end, and nowhere else. Few elements lie so near a
    // middle that a float comes out on its other side.
    [Test]
    public void PortableKernelsRoundAtEveryBoundaryAndNowhereElse(
        [Values] bool chunked, [Values(DeltaStateFormat.F16, DeltaStateFormat.Bf16)] DeltaStateFormat format,
        [ValueSource(typeof(PortableTests), nameof(PortableTests.Tiers))] PortableTier tier)
    {
        const int Position = 37;
        const int Rows = 130;
        TestDevice device = PortableTests.Use(tier);
        DeltaSequence sequence = new DeltaSequence(new DeltaShape(1, 3, 16, 16), Rows, 5).WithDecays(row => -0.002f * (row % 5));

        (float[] y, float[][] states) = DeltaFixture.Run(device, chunked, new DeltaShape(1, 3, 16, 16), format, (Position, sequence));

        (double[] expected, double[] state) = sequence.Reference(Position, format);
        (double[] unroundedY, double[] unrounded) = sequence.Reference(Position);
        AssertRounded(y, expected, unroundedY, "y", format, Unit(format) / 256);
        AssertRounded(states[0], state, unrounded, "state", format, Unit(format) / 64);
    }

    [TestCase(1e5f, 65504)]
    [TestCase(-1e30f, -65504)]
    [TestCase(65519, 65504)]
    [TestCase(float.PositiveInfinity, 65504)]
    [TestCase(float.NaN, float.NaN)]
    [TestCase(1e-7f, 1.1920929e-7f)]
    public void F16SaturatesAndKeepsNaN(float value, float stored) => AssertStores<F16State>(value, stored);

    // Middles between 1 and its neighbours go to the even one; the largest float is nearer to infinity than to the largest bf16.
    [TestCase(1.00390625f, 1)]
    [TestCase(1.01171875f, 1.015625f)]
    [TestCase(-1.0039064f, -1.0078125f)]
    [TestCase(1e5f, 99840)]
    [TestCase(float.MaxValue, float.PositiveInfinity)]
    [TestCase(float.NegativeInfinity, float.NegativeInfinity)]
    [TestCase(float.NaN, float.NaN)]
    [TestCase(1e-40f, 9.183549615799121e-41f)]
    public void Bf16RoundsToNearestAndKeepsNaN(float value, float stored) => AssertStores<Bf16State>(value, stored);

    // In all four places of a word, and as the pair of a fragment.
    private static void AssertStores<TState>(float value, float stored)
        where TState : struct, IDeltaStateFormat<UInt2>
    {
        var word = new Float4(value, 1, value, -2);

        Float4 loaded = TState.Load(TState.Store(word));
        Float4 shifted = TState.Load(TState.Store(new Float4(-2, value, 1, value)));

        Assert.That(new[] { loaded.X, loaded.Y, loaded.Z, loaded.W }, Is.EqualTo(new[] { stored, 1, stored, -2 }));
        Assert.That(new[] { shifted.Y, shifted.Z, shifted.W, shifted.X }, Is.EqualTo(new[] { stored, 1, stored, -2 }));
        Assert.That(loaded.X, Is.EqualTo(DeltaFixture.Rounded(TState.Format, value)));
    }

    private static void AssertRounded(
        float[] actual, double[] expected, double[] unrounded, string what, DeltaStateFormat format, double bound)
    {
        double error = RootMeanSquare(actual, expected);
        double other = RootMeanSquare(actual, unrounded);
        TestContext.Out.WriteLine($"{what}: {error:E2} of {bound:E2}, {other:E2} without rounding");
        DeltaStepTests.AssertClose(actual, expected, what, Unit(format));
        Assert.That(error, Is.LessThanOrEqualTo(bound), what);
        Assert.That(other, Is.GreaterThan(2 * bound), $"{what} would be as near without rounding");
    }

    private static double RootMeanSquare(float[] actual, double[] expected) =>
        Math.Sqrt(actual.Zip(expected, (a, e) => (a - e) * (a - e)).Average());

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
