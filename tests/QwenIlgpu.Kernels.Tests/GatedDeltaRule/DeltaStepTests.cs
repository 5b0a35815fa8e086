namespace QwenIlgpu.Kernels.Tests;

/// <summary>A DeltaNet layer between its projections in one launch: toy shapes on the CPU accelerator, real heads on the PTX machine.</summary>
[UnderSchedules]
[NonParallelizable]
internal sealed class DeltaStepTests
{
    // y is o over its root mean square, times weight · silu(z) of up to 2.6; o sums 128 products of states up to about 1, each rounded
    // to 2^-24, and the decay forgets old errors. Measured: up to 2.4e-6 of y, 1.9e-7 of the state.
    private const double Tolerance = 1e-5;

    private static readonly DeltaShape Toy = new(1, 1, 64, 64);
    private static readonly DeltaShape Tiny = new(2, 6, 64, 64);

    private static string Device => WarpDevice.Usual;

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    // From the first token in poisoned slots, rows in steps of so many.
    [TestCase(1, 1, 64, 64, 3, 1)]
    [TestCase(2, 6, 64, 64, 9, 1)]
    [TestCase(2, 6, 64, 64, 11, 8)]
    [TestCase(1, 3, 128, 128, 7, 1)]
    [TestCase(2, 4, 128, 128, 10, 4)]
    [TestCase(1, 3, 128, 128, 13, 5)]
    public void MatchesReference(int keyHeads, int valueHeads, int keyHeadDim, int valueHeadDim, int rows, int rowsPerStep) =>
        MatchesReferenceOn(Device, new DeltaShape(keyHeads, valueHeads, keyHeadDim, valueHeadDim), rows, rowsPerStep);

    [Test]
    public void MatchesReferenceOnTheCpuAccelerator()
    {
        if (TestDevice.Kind != "cuda")
            MatchesReferenceOn("cpu", Toy, 3, 2);
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    [TestCase(61)]
    public void ContinuesAtAnyPosition(int start)
    {
        var shape = new DeltaShape(1, 3, 128, 128);
        var sequence = new DeltaStepSequence(shape, start + 6, 5, start);
        var slots = new DeltaStepSlots(WarpDevice.Named(Device), shape, sequence, 2);
        slots.Enter(1, sequence, start);

        float[] y = [.. slots.Step((1, sequence, start, 2)), .. slots.Step((1, sequence, start + 2, 4))];

        (double[] expected, double[] state) = sequence.Reference(start);
        AssertClose(y, expected, "y");
        AssertClose(slots.State(1), state, "state");
        Assert.That(slots.State(0), Has.All.NaN, "nobody's slot");
    }

    // Three sequences at different places, one without rows between them; the batch must give each the bits that it gets alone.
    [Test]
    public void BatchEqualsEachAlone()
    {
        (int Slot, DeltaStepSequence Sequence, int Start, int Rows)[] parts =
        [
            (3, new(Tiny, 8, 1, 11), 0, 8), (1, new(Tiny, 70, 1, 12), 64, 1), (0, new(Tiny, 9, 1, 13), 5, 0), (4, new(Tiny, 9, 1, 14), 2, 7),
        ];
        DeltaStepSlots together = Enter();
        float[] y = together.Step(parts);

        DeltaStepSlots alone = Enter();
        float[] each = [.. parts.Where(p => p.Rows > 0).SelectMany(p => alone.Step(p))];

        Assert.That(y, Is.EqualTo(each));
        for (int slot = 0; slot < 5; slot++)
        {
            Assert.That(together.State(slot), Is.EqualTo(alone.State(slot)), $"state {slot}");
            for (int position = 0; position < 11; position++)
                Assert.That(together.Carried(slot, position), Is.EqualTo(alone.Carried(slot, position)), $"row {position} of ring {slot}");
        }

        DeltaStepSlots Enter()
        {
            var slots = new DeltaStepSlots(WarpDevice.Named(Device), Tiny, parts[0].Sequence, 5);
            foreach ((int slot, DeltaStepSequence sequence, int start, _) in parts.Where(p => p.Start > 0))
                slots.Enter(slot, sequence, start);
            return slots;
        }
    }

    [TestCase(DeltaStateFormat.F32)]
    [TestCase(DeltaStateFormat.F16, Category = "Exhaustive")]
    [TestCase(DeltaStateFormat.Bf16)]
    public void RowsInOneStepEqualRowsInMany(DeltaStateFormat format)
    {
        var sequence = new DeltaStepSequence(Tiny, 8, 3, 8);
        var whole = new DeltaStepSlots(WarpDevice.Named(Device), Tiny, sequence, 1, format: format);
        float[] y = whole.Step((0, sequence, 0, 8));
        var pieces = new DeltaStepSlots(WarpDevice.Named(Device), Tiny, sequence, 1, format: format);

        float[] each = [.. Enumerable.Range(0, 8).SelectMany(t => pieces.Step((0, sequence, t, 1)))];

        Assert.That(each, Is.EqualTo(y));
        Assert.That(pieces.State(0), Is.EqualTo(whole.State(0)));
    }

    // The smallest ring: one row a step, each written where none of the three before it lies.
    [Test]
    public void WorksWithARingOfFourRows()
    {
        var sequence = new DeltaStepSequence(Tiny, 9, 6, 21);
        var slots = new DeltaStepSlots(WarpDevice.Named(Device), Tiny, sequence, 1, ringRows: 4);

        float[] y = [.. Enumerable.Range(0, 9).SelectMany(t => slots.Step((0, sequence, t, 1)))];

        AssertClose(y, sequence.Reference(0).Y, "y");
        for (int position = 5; position < 9; position++)
            Assert.That(slots.Carried(0, position), Is.EqualTo(DeltaStepSequence.Slice(sequence.Mixed, Tiny.Channels, position, 1)));
    }

    // e^g below the smallest float in some rows: what came before is forgotten, and nothing overflows.
    [Test]
    public void HoldsAtExtremeDecay()
    {
        var sequence = new DeltaStepSequence(Tiny, 12, 4, 9);
        for (int i = 0; i < sequence.A.Length; i++)
            sequence.A[i] = (i % 4) switch { 0 => 500, 1 => -80, _ => sequence.A[i] };
        var slots = new DeltaStepSlots(WarpDevice.Named(Device), Tiny, sequence, 1);

        float[] y = [.. slots.Step((0, sequence, 0, 8)), .. slots.Step((0, sequence, 8, 4))];

        (double[] expected, double[] state) = sequence.Reference(0);
        AssertClose(y, expected, "y");
        AssertClose(slots.State(0), state, "state");
    }

    // A prompt by the portable chunked kernels, then steps; the same rows by the portable kernels alone.
    [TestCase(DeltaStateFormat.F32)]
    [TestCase(DeltaStateFormat.F16, Category = "Exhaustive")]
    [TestCase(DeltaStateFormat.Bf16, Category = "Exhaustive")]
    public void ContinuesAPrefillOfThePortableKernels(DeltaStateFormat format)
    {
        const int Prompt = 21;
        var sequence = new DeltaStepSequence(Tiny, Prompt + 5, 7, 31);
        var slots = new DeltaStepSlots(WarpDevice.Named(Device), Tiny, sequence, 1, ringRows: 4, format);
        slots.StepPortable(0, sequence, 0, Prompt, chunked: true);
        var portable = new DeltaStepSlots(WarpDevice.Named(Device), Tiny, sequence, 1, ringRows: 4, format);
        portable.StepPortable(0, sequence, 0, Prompt, chunked: true);

        float[] y = [.. Enumerable.Range(Prompt, 5).SelectMany(t => slots.Step((0, sequence, t, 1)))];

        float[] others = [.. Enumerable.Range(Prompt, 5).SelectMany(t => portable.StepPortable(0, sequence, t, 1, chunked: false))];
        double tolerance = StateTolerance(format);
        AssertClose(y, Array.ConvertAll(others, v => (double)v), "y", tolerance);
        AssertClose(slots.State(0), Array.ConvertAll(portable.State(0), v => (double)v), "state", tolerance);
        for (int position = Prompt + 1; position < Prompt + 5; position++)
            Assert.That(slots.Carried(0, position), Is.EqualTo(portable.Carried(0, position)));
    }

    [Test]
    public void ASwappedStateColumnShows()
    {
        var sequence = new DeltaStepSequence(Tiny, 6, 8, 41);
        var slots = new DeltaStepSlots(WarpDevice.Named(Device), Tiny, sequence, 1);

        float[] first = slots.Step((0, sequence, 0, 3));
        slots.ExchangeStateColumns(0, 6, 7);
        float[] y = [.. first, .. slots.Step((0, sequence, 3, 3))];

        Assert.That(Difference.Of(y, sequence.Reference(0).Y).Worst, Is.GreaterThan(100 * Tolerance));
    }

    // f16 rounds a state to 11 bits, bf16 to 8, eight times as coarse: each row adds an error of half a unit of that, which the decay forgets,
    // and y divides by the root mean square of o, which may be a tenth of a state's.
    internal static double StateTolerance(DeltaStateFormat format) => format switch
    {
        DeltaStateFormat.F32 => Tolerance,
        DeltaStateFormat.F16 => 2e-2,
        _ => 1.6e-1,
    };

    internal static void AssertClose(float[] actual, double[] expected, string what, double tolerance = Tolerance)
    {
        double worst = Difference.Of(actual, expected).Worst;
        TestContext.Out.WriteLine($"{what}: {worst:E2}");
        Assert.That(worst, Is.LessThanOrEqualTo(tolerance), what);
    }

    private static void MatchesReferenceOn(string deviceName, DeltaShape shape, int rows, int rowsPerStep)
    {
        var sequence = new DeltaStepSequence(shape, rows, rows + shape.Channels, rowsPerStep);
        var slots = new DeltaStepSlots(WarpDevice.Named(deviceName), shape, sequence, 3);

        var y = new List<float>();
        for (int t = 0; t < rows; t += rowsPerStep)
            y.AddRange(slots.Step((2, sequence, t, Math.Min(rowsPerStep, rows - t))));

        (double[] expected, double[] state) = sequence.Reference(0);
        AssertClose([.. y], expected, "y");
        AssertClose(slots.State(2), state, "state");
        for (int position = Math.Max(0, rows - 3); position < rows; position++)
            Assert.That(slots.Carried(2, position), Is.EqualTo(DeltaStepSequence.Slice(sequence.Mixed, shape.Channels, position, 1)));
        Assert.That(slots.State(0), Has.All.NaN, "nobody's slot");
    }
}
