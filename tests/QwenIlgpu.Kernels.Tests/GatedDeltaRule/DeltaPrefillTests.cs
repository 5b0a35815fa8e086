namespace QwenIlgpu.Kernels.Tests;

/// <summary>The gated delta rule in chunks on tensor cores: real heads on the PTX machine, one toy case on the CPU accelerator.</summary>
[UnderSchedules]
[NonParallelizable]
internal sealed class DeltaPrefillTests
{
    // q, k, v, S, P, T, X and V′ are each rounded once to f16 on their way into a product, 2^-11 of themselves at most. Errors of different
    // elements are independent, but a sequence of one row has three common to all of them: 4 · 2^-11 of the root mean square holds for
    // both. Measured: up to 1.2e-3 for one row, 5.5e-4 for others; one element is off by up to 5e-3, as o is a sum that cancels.
    private const double MeanTolerance = 4.0 / 2048;
    private const double WorstTolerance = 1e-2;

    private const DeltaStateFormat F32 = DeltaStateFormat.F32;

    private static readonly DeltaShape Toy = new(1, 1, 64, 64);
    private static readonly DeltaShape Tiny = new(2, 6, 64, 64);

    private static string Device => WarpDevice.Usual;

    [TearDown]
    public void ReleaseBuffers()
    {
        WarpDevice.ReleaseBuffers();
        TestDevice.Shared.Release();
    }

    [TestCase(1, 1, 64, 1, 0)]
    [TestCase(1, 1, 64, 17, 0)]
    [TestCase(1, 1, 64, 63, 37)]
    [TestCase(2, 6, 64, 64, 0)]
    [TestCase(2, 6, 64, 65, 37)]
    [TestCase(1, 1, 64, 129, 0)]
    [TestCase(1, 1, 64, 1000, 0)]
    [TestCase(1, 3, 128, 1, 37, Category = "Exhaustive")]
    [TestCase(1, 3, 128, 17, 0, Category = "Exhaustive")]
    [TestCase(1, 3, 128, 129, 37, Category = "Exhaustive")]
    public void MatchesReference(int keyHeads, int valueHeads, int headDim, int rows, int position)
    {
        var shape = new DeltaShape(keyHeads, valueHeads, headDim, headDim);
        MatchesReferenceOn(Device, shape, new DeltaSequence(shape, rows, rows + position + shape.Channels), position);
    }

    /// <summary>Two chunks of one head.</summary>
    public static void RunOnce(TestDevice device) =>
        DeltaPrefillFixture.Run(device, Toy, F32, 0, new DeltaPart(0, new DeltaSequence(Toy, 67, 5)));

    [Test]
    public void MatchesReferenceOnTheCpuAccelerator()
    {
        if (TestDevice.Kind != "cuda")
            MatchesReferenceOn("cpu", Toy, new DeltaSequence(Toy, 67, 5), 0);
    }

    [Test]
    public void EqualsThePortableKernels()
    {
        var sequence = new DeltaSequence(Tiny, 130, 8);
        (float[] expected, float[][] expectedStates) = DeltaFixture.Run(TestDevice.Shared, chunked: true, Tiny, (5, sequence));

        (float[] y, float[][] states, _) = Run(Tiny, F32, 0, new DeltaPart(5, sequence));

        AssertClose(y, Seeded.ToDouble(expected), "y");
        AssertClose(states[0], Seeded.ToDouble(expectedStates[0]), "state");
    }

    // Three sequences, one entered in the middle of a chunk, and one without rows; the batch must give each the bits that it gets alone.
    [Test]
    public void BatchEqualsEachAlone()
    {
        DeltaPart[] parts =
        [
            new(37, new(Tiny, 60, 11)), new(0, new(Tiny, 65, 12)), new(9, new(Tiny, 0, 13)), new(0, new(Tiny, 7, 14)),
        ];

        (float[] together, float[][] states, _) = Run(Tiny, F32, 0, parts);

        var alone = new List<float>();
        foreach (int b in new[] { 0, 1, 3 })
        {
            (float[] y, float[][] state, _) = Run(Tiny, F32, 0, parts[b]);
            alone.AddRange(y);
            Assert.That(states[b], Is.EqualTo(state[0]), $"state {b}");
            AssertClose(states[b], parts[b].Sequence.Reference(parts[b].Position).State, "state");
        }

        Assert.That(together, Is.EqualTo(alone));
        Assert.That(states[2], Is.EqualTo(parts[2].Sequence.State), "a sequence without rows");
    }

    [TestCase(DeltaStateFormat.F32, 64)]
    [TestCase(DeltaStateFormat.F32, 128)]
    [TestCase(DeltaStateFormat.F16, 64)]
    [TestCase(DeltaStateFormat.Bf16, 64)]
    [TestCase(DeltaStateFormat.F16, 128, Category = "Exhaustive")]
    [TestCase(DeltaStateFormat.Bf16, 128, Category = "Exhaustive")]
    public void PrefillInStepsEqualsOne(DeltaStateFormat format, int rowsPerStep)
    {
        var whole = new DeltaSequence(Toy, 200, rowsPerStep);
        (float[] y, float[][] state, _) = Run(Toy, format, 0, new DeltaPart(0, whole));

        var pieces = new List<float>();
        float[] carried = whole.State;
        for (int start = 0; start < whole.Rows; start += rowsPerStep)
        {
            DeltaSequence piece = whole.Slice(start, Math.Min(rowsPerStep, whole.Rows - start), carried);
            (float[] pieceY, float[][] pieceState, _) = Run(Toy, format, 0, new DeltaPart(start, piece));
            pieces.AddRange(pieceY);
            carried = pieceState[0];
        }

        Assert.That(pieces, Is.EqualTo(y));
        Assert.That(carried, Is.EqualTo(state[0]));
        AssertClose(y, whole.Reference(0, format).Y, "y");
        AssertClose(state[0], whole.Reference(0, format).State, "state", StateFactor(format));
    }

    [TestCase(DeltaStateFormat.F16, Category = "Exhaustive")]
    [TestCase(DeltaStateFormat.Bf16, Category = "Exhaustive")]
    public void KeepsAStateOf16BitsOfRealHeads(DeltaStateFormat format)
    {
        var shape = new DeltaShape(1, 3, 128, 128);
        var sequence = new DeltaSequence(shape, 65, 3);

        (float[] y, float[][] states, _) = Run(shape, format, 0, new DeltaPart(0, sequence));

        (double[] expected, double[] state) = sequence.Reference(0, format);
        AssertClose(y, expected, "y");
        AssertClose(states[0], state, "state", StateFactor(format));
    }

    // Two whole chunks that forget next to nothing but in their last rows: the state that enters them still counts when they end.
    [Test]
    public void CarriesTheStateThroughWholeChunks()
    {
        DeltaSequence sequence = new DeltaSequence(Toy, 129, 41).WithDecays(row => row % 64 == 63 ? -0.7f : -0.001f * (row % 7));

        (float[] y, float[][] states, _) = Run(Toy, F32, 0, new DeltaPart(64, sequence));

        AssertClose(y, sequence.Reference(64).Y, "y");
        AssertClose(states[0], sequence.Reference(64).State, "state");
    }

    // A prompt cut within a chunk gives other chunks: the bound holds, the bits do not.
    [Test]
    public void PrefillCutAnywhereStaysWithinTheBound()
    {
        var whole = new DeltaSequence(Toy, 150, 21);
        var y = new List<float>();
        float[] carried = whole.State;
        foreach ((int start, int rows) in new[] { (0, 41), (41, 1), (42, 70), (112, 38) })
        {
            (float[] pieceY, float[][] state, _) = Run(Toy, F32, 0, new DeltaPart(start, whole.Slice(start, rows, carried)));
            y.AddRange(pieceY);
            carried = state[0];
        }

        AssertClose([.. y], whole.Reference(0).Y, "y");
        AssertClose(carried, whole.Reference(0).State, "state");
    }

    // After the first and the second chunk of a prompt, beside another sequence that asks for none.
    [TestCase(DeltaStateFormat.F32)]
    [TestCase(DeltaStateFormat.F16)]
    [TestCase(DeltaStateFormat.Bf16)]
    public void SnapshotsAreTheStatesOfShorterPrompts(DeltaStateFormat format)
    {
        var sequence = new DeltaSequence(Toy, 150, 31);
        var other = new DeltaSequence(Toy, 70, 32);

        (_, float[][] states, float[][] snapshots) = Run(
            Toy, format, 3, new DeltaPart(37, other), new DeltaPart(0, sequence, [1, 3, -1]));

        foreach ((int rows, float[] snapshot) in new[] { (64, snapshots[0]), (128, snapshots[2]), (150, states[1]) })
        {
            (_, float[][] state, _) = Run(Toy, format, 0, new DeltaPart(0, sequence.Slice(0, rows, sequence.State)));
            Assert.That(snapshot, Is.EqualTo(state[0]), $"after {rows} rows");
        }

        Assert.That(snapshots[1], Has.All.NaN, "a slot that nobody asked for");
    }

    // Without decay and with keys all alike, A is as far from zero as it gets; then a decay that leaves nothing of a row for the next one;
    // then one of which 64 rows leave e^−96; then one row that forgets everything among others that forget nothing.
    [TestCase(0f, true)]
    [TestCase(-200f, true)]
    [TestCase(-1.5f, true)]
    [TestCase(-1.5f, false)]
    [TestCase(float.NaN, false)]
    public void HoldsAtExtremes(float g, bool alike)
    {
        var sequence = new DeltaSequence(Toy, 130, 3);
        Array.Fill(sequence.Beta, 1f);
        for (int t = 0; t < sequence.Rows; t++)
        {
            sequence.G[t] = float.IsNaN(g) ? (t % 30 == 29 ? -1e4f : -1e-3f) : g;
            if (alike)
                Array.Copy(sequence.Qkv, Toy.KeyChannels, sequence.Qkv, (t * Toy.Channels) + Toy.KeyChannels, Toy.KeyChannels);
        }

        (float[] y, float[][] state, _) = Run(Toy, F32, 0, new DeltaPart(0, sequence));

        (double[] expected, double[] expectedState) = sequence.Reference(0);
        AssertClose(y, expected, "y", 3);
        AssertClose(state[0], expectedState, "state", 3);
    }

    // The first two eights of rows or columns that a transposing load brings, in each other's place: one load after the other.
    [Test]
    public void IsWrongWithEightsOfATransposedTileSwapped()
    {
        Assume.That(WarpDevice.Usual, Is.EqualTo("machine"), "another device is asked for");
        const string Load = @"(ldmatrix[.\w]+\.trans\.shared\.b16 )\{(%r\d+), (%r\d+),";
        var sequence = new DeltaSequence(Toy, 67, 5);
        (double[] expected, double[] state) = sequence.Reference(0);

        Func<string, string>[] edits =
            PtxEdit.OneByOne("Kernel_DeltaPrefillScan", Load, "$1{$3, $2,", () => RunOnce(MachineDevice.Shared));
        foreach (Func<string, string> edit in edits)
        {
            MachineDevice.Edited(edit, () =>
            {
                (float[] y, float[][] states, _) = Run(Toy, F32, 0, new DeltaPart(0, sequence));
                Assert.That(Math.Max(Errors(y, expected).Mean, Errors(states[0], state).Mean), Is.GreaterThan(MeanTolerance));
            });
        }
    }

    private static (float[] Y, float[][] States, float[][] Extra) Run(
        DeltaShape shape, DeltaStateFormat format, int extraSlots, params DeltaPart[] parts) =>
        DeltaPrefillFixture.Run(WarpDevice.Named(Device), shape, format, extraSlots, parts);

    private static void MatchesReferenceOn(string device, DeltaShape shape, DeltaSequence sequence, int position)
    {
        (float[] y, float[][] states, _) =
            DeltaPrefillFixture.Run(WarpDevice.Named(device), shape, F32, 0, new DeltaPart(position, sequence));

        (double[] expected, double[] state) = sequence.Reference(position);
        AssertClose(y, expected, "y");
        AssertClose(states[0], state, "state");
    }

    // A state of 16 bits has been rounded on both sides of a comparison. What the products before are off by may put an element on the other
    // side of a middle, and so off by a whole step more: up to 2^-10 of itself in f16 and 2^-7 in bf16, where the largest elements are five
    // times the root mean square. Measured: up to 4.0e-2 for one element in bf16.
    internal static double StateFactor(DeltaStateFormat format) => format switch
    {
        DeltaStateFormat.F32 => 1,
        DeltaStateFormat.F16 => 1.5,
        _ => 5,
    };

    internal static void AssertClose(float[] actual, double[] expected, string what, double factor = 1)
    {
        (double worst, double mean) = Errors(actual, expected);
        TestContext.Out.WriteLine($"{what}: worst {worst:E2}, mean {mean:E2}");
        Assert.That(mean, Is.LessThanOrEqualTo(factor * MeanTolerance), $"root mean square error of {what}");
        Assert.That(worst, Is.LessThanOrEqualTo(factor * WorstTolerance), $"largest error of {what}");
    }

    // The largest error and the root mean square error over the root mean square of what is expected; NaN is infinitely wrong.
    private static (double Worst, double Mean) Errors(float[] actual, double[] expected)
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length));
        double scale = Math.Sqrt(expected.Average(e => e * e));
        double[] errors = [.. actual.Zip(expected, (a, e) => double.IsNaN(a - e) ? double.PositiveInfinity : Math.Abs(a - e) / scale)];
        return (errors.Max(), Math.Sqrt(errors.Average(e => e * e)));
    }
}
