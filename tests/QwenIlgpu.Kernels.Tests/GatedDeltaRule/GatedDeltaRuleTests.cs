using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

internal sealed class GatedDeltaRuleTests(PortableTier tier) : PortableTests(tier)
{
    // Outputs and states up to about 1; each row rounds sums of up to 128 products, and the decay forgets old errors.
    private const double RecurrentTolerance = 1e-5;
    private const double ChunkedTolerance = 1e-4;

    private static readonly int[] Lengths = [1, 63, 64, 65, 130, 200];
    private static readonly int[] StartPositions = [0, 5, 64];
    private static readonly DeltaShape Small = new(1, 2, 8, 12);

    [Test]
    public void MatchesReference(
        [Values] bool chunked, [ValueSource(nameof(Lengths))] int rows, [ValueSource(nameof(StartPositions))] int position)
    {
        MatchesReferenceAt(chunked, Small, rows, position);
    }

    [TestCase(1, 1, 4, 4)]
    [TestCase(3, 3, 12, 8)]
    [TestCase(2, 4, 16, 20)]
    [TestCase(2, 6, 64, 64)]
    [TestCase(1, 4, 32, 48)]
    [TestCase(1, 1, 256, 16)]
    [TestCase(1, 3, 128, 128)]
    public void MatchesReferenceOfOtherShapes(int keyHeads, int valueHeads, int keyHeadDim, int valueHeadDim)
    {
        var shape = new DeltaShape(keyHeads, valueHeads, keyHeadDim, valueHeadDim);
        MatchesReferenceAt(chunked: false, shape, 7, 61);
        MatchesReferenceAt(chunked: true, shape, 71, 61);
    }

    [Test]
    public void ChunkedAlgebraEqualsDefinition(
        [ValueSource(nameof(Lengths))] int rows, [ValueSource(nameof(StartPositions))] int position)
    {
        var sequence = new DeltaSequence(Small, rows, rows + position);
        (double[] y, double[] state) = sequence.Reference(position);

        double[] chunkedState = position == 0 ? new double[state.Length] : Seeded.ToDouble(sequence.State);
        double[] chunkedY = ChunkedDeltaRuleReference.Run(
            Seeded.ToDouble(sequence.Qkv), Seeded.ToDouble(sequence.Beta), Seeded.ToDouble(sequence.G), Small, chunkedState, position);

        Assert.That(chunkedY, Is.EqualTo(y).Within(1e-12));
        Assert.That(chunkedState, Is.EqualTo(state).Within(1e-12));
    }

    // Dk = Dv = 2 padded with zeros to the words of four, which leaves everything but the scale of q, 4^-1/2 for 2^-1/2, alone.
    [Test]
    public void MatchesWorkedExample([Values] bool chunked)
    {
        var shape = new DeltaShape(1, 1, 4, 4);
        var step = new PackedStep((0, 0, 3));
        Matrix<float> qkv = Device.Upload<float>(
            [1, 2, 0, 0, 1, 0, 0, 0, 1, -1, 0, 0, 0.5f, -1, 0, 0, 1, 1, 0, 0, 0.5f, 2, 0, 0, 3, 1, 0, 0, -1, 2, 0, 0, -2, 1, 0, 0], 3, 12);
        Matrix<float> beta = Device.Poisoned<float>(3, 1);
        Matrix<float> g = Device.Poisoned<float>(3, 1);
        Matrix<float> state = Device.Poisoned<float>(1, shape.StateLength);
        Matrix<float> y = Device.Poisoned<float>(3, 4);

        Device.Run(
        [
            DeltaGates.Bind(
                Device.Loader, Device.Upload<float>([0, 1, -1], 3, 1), Device.Upload<float>([0.5f, -0.5f, 1], 3, 1),
                Device.Upload(0f), Device.Upload(-1f), beta, g),
            QkL2Norm.Bind(Device.Loader, qkv, 1, 4),
            .. DeltaFixture.Bind(Device, chunked, shape, step, qkv, beta, g, state, y),
        ]);

        AssertClose(Device.Download(beta), [0.5, 0.7310586, 0.2689414], 1e-6);
        AssertClose(Device.Download(g), [-0.4740770, -0.2014133, -0.6931472], 1e-6);
        float[] padded = Device.Download(y);
        float[] outputs = [.. new[] { 0, 1, 4, 5, 8, 9 }.Select(i => padded[i] * MathF.Sqrt(2))];
        AssertClose(outputs, [0.1581138, -0.1581138, 0.0947868, -0.5034607, 0.2378633, 0.3747550], 1e-6);
        float[] columns = Device.Download(state);
        AssertClose([columns[0], columns[4], columns[1], columns[5]], [0.4914030, 0.3097981, -0.4104521, 0.7465612], 1e-6);
    }

    [Test]
    public void BatchEqualsEachAlone([Values] bool chunked)
    {
        var shape = new DeltaShape(2, 4, 16, 16);
        (int Position, DeltaSequence Sequence)[] sequences =
        [
            (64, new(shape, 1, 1)), (0, new(shape, 70, 2)), (5, new(shape, 63, 3)), (9, new(shape, 0, 4)), (62, new(shape, 4, 5)),
        ];

        (float[] together, float[][] states) = DeltaFixture.Run(Device, chunked, shape, sequences);

        var alone = new List<float>();
        foreach (int b in new[] { 0, 1, 2, 4 })
        {
            (float[] y, float[][] state) = DeltaFixture.Run(Device, chunked, shape, sequences[b]);
            alone.AddRange(y);
            Assert.That(states[b], Is.EqualTo(state[0]));
        }

        Assert.That(together, Is.EqualTo(alone));
        Assert.That(states[3], Is.EqualTo(sequences[3].Sequence.State), "a sequence without rows");
    }

    [TestCase(true, 64, DeltaStateFormat.F32)]
    [TestCase(true, 64, DeltaStateFormat.F16)]
    [TestCase(true, 64, DeltaStateFormat.Bf16)]
    [TestCase(true, 128, DeltaStateFormat.F32)]
    [TestCase(true, 128, DeltaStateFormat.F16)]
    [TestCase(true, 128, DeltaStateFormat.Bf16)]
    [TestCase(false, 1, DeltaStateFormat.F32)]
    [TestCase(false, 7, DeltaStateFormat.F32)]
    [TestCase(false, 64, DeltaStateFormat.F32)]
    [TestCase(false, 64, DeltaStateFormat.F16)]
    [TestCase(false, 64, DeltaStateFormat.Bf16)]
    [TestCase(false, 128, DeltaStateFormat.F16)]
    [TestCase(false, 128, DeltaStateFormat.Bf16)]
    public void PrefillInStepsEqualsOne(bool chunked, int rowsPerStep, DeltaStateFormat format)
    {
        var shape = new DeltaShape(1, 3, 16, 16);
        var whole = new DeltaSequence(shape, rowsPerStep < 64 ? 20 : 200, rowsPerStep);
        (float[] y, float[][] state) = DeltaFixture.Run(Device, chunked, shape, format, (0, whole));

        var pieces = new List<float>();
        float[] carried = whole.State;
        for (int start = 0; start < whole.Rows; start += rowsPerStep)
        {
            DeltaSequence piece = whole.Slice(start, Math.Min(rowsPerStep, whole.Rows - start), carried);
            (float[] pieceY, float[][] pieceState) = DeltaFixture.Run(Device, chunked, shape, format, (start, piece));
            pieces.AddRange(pieceY);
            carried = pieceState[0];
        }

        Assert.That(pieces, Is.EqualTo(y));
        Assert.That(carried, Is.EqualTo(state[0]));
    }

    // A sequence that begins, one without rows, and one that goes on within a chunk; a snapshot is the slot of a shorter prompt to the bit.
    [Test]
    public void SnapshotsAreTheStatesOfShorterPrompts([Values] bool chunked, [Values] DeltaStateFormat format)
    {
        var shape = new DeltaShape(1, 3, 16, 16);
        var whole = new DeltaSequence(shape, 150, 5);
        var second = new DeltaSequence(shape, 10, 6);
        float[] entered = [.. second.State];
        var step = new PackedStep((1, 0, 150), (4, 7, 0), (5, 60, 10));
        DeltaStates state = DeltaFixture.Upload(
            Device, format,
            [.. Enumerable.Repeat(float.NaN, 5 * shape.StateLength), .. entered, .. Enumerable.Repeat(float.NaN, shape.StateLength)], 7);

        Device.Run(DeltaFixture.Bind(
            Device, chunked, shape, step, Device.Upload<float>([.. whole.Qkv, .. second.Qkv], step.Rows, shape.Channels),
            Device.Upload<float>([.. whole.Beta, .. second.Beta], step.Rows, shape.ValueHeads),
            Device.Upload<float>([.. whole.G, .. second.G], step.Rows, shape.ValueHeads), state,
            Device.Poisoned<float>(step.Rows, shape.ValueChannels), snapshotSlot: [2, -1, 3, 6, -1]));

        foreach ((int slot, int position, DeltaSequence rows) in new[]
        {
            (2, 0, whole.Slice(0, 64, whole.State)), (3, 0, whole), (1, 0, whole), (6, 60, second.Slice(0, 4, entered)), (5, 60, second),
        })
        {
            (_, float[][] expected) = DeltaFixture.Run(Device, chunked, shape, format, (position, rows));
            Assert.That(DeltaFixture.State(Device, state, slot), Is.EqualTo(expected[0]), $"slot {slot}, after {rows.Rows} rows");
        }

        foreach (int slot in new[] { 0, 4 })
            Assert.That(DeltaFixture.State(Device, state, slot), Has.All.NaN, "a slot that nobody asked for");
    }

    // Heads of 20 columns, which no cache line and no thread's part ends with; more rows than vector code takes at a time.
    [Test]
    public void PartsOfThreadsChangeNothing([Values] DeltaStateFormat format)
    {
        var shape = new DeltaShape(2, 6, 48, 20);
        var step = new PackedStep((3, 0, 70), (2, 62, 0), (1, 5, 3));
        var rows = new DeltaSequence(shape, step.Rows, 8);
        Matrix<float> qkv = Device.Upload(rows.Qkv, step.Rows, shape.Channels);
        Matrix<float> beta = Device.Upload(rows.Beta, step.Rows, shape.ValueHeads);
        Matrix<float> g = Device.Upload(rows.G, step.Rows, shape.ValueHeads);
        Matrix<float> y = default;
        DeltaStates state = default;

        RunInParts(
            () =>
            {
                y = Device.Poisoned<float>(step.Rows, shape.ValueChannels);
                state = DeltaFixture.Upload(Device, format, [.. rows.State, .. rows.State, .. rows.State, .. rows.State], 4);
                return DeltaFixture.Bind(Device, chunked: false, shape, step, qkv, beta, g, state, y, snapshotSlot: [-1, 0, -1]);
            },
            () => (float[])[.. Device.Download(y), .. Enumerable.Range(0, 4).SelectMany(slot => DeltaFixture.State(Device, state, slot))]);
    }

    // What rows left is what the same rows leave in steps of 1, 4 and 7, to the bit: a state of floats is what it is stored as.
    [Test]
    public void RowsInStepsOfAnyLengthEqualOneStep()
    {
        var shape = new DeltaShape(1, 2, 128, 16);
        var rows = new DeltaSequence(shape, 40, 21);
        float[] y = Run([40]);

        Assert.That(Run([1, 4, 7, 1, 27]), Is.EqualTo(y));

        float[] Run(int[] steps)
        {
            Matrix<float> state = Device.Poisoned<float>(1, shape.StateLength);
            var outputs = new List<float>();
            int start = 0;
            foreach (int count in steps)
            {
                DeltaSequence part = rows.Slice(start, count, rows.State);
                Matrix<float> o = Device.Poisoned<float>(count, shape.ValueChannels);
                Device.Run(DeltaFixture.Bind(
                    Device, chunked: false, shape, new PackedStep((0, start, count)), Device.Upload(part.Qkv, count, shape.Channels),
                    Device.Upload(part.Beta, count, shape.ValueHeads), Device.Upload(part.G, count, shape.ValueHeads), state, o));
                outputs.AddRange(Device.Download(o));
                start += count;
            }

            return [.. outputs, .. Device.Download(state)];
        }
    }

    [Test]
    public void NaNStaysInItsColumn([Values] bool chunked, [Values] DeltaStateFormat format)
    {
        var shape = new DeltaShape(1, 1, 16, 16);
        var rows = new DeltaSequence(shape, 3, 4);
        rows.Qkv[shape.Channels + (2 * shape.KeyChannels) + 5] = float.NaN;

        (float[] y, float[][] state) = DeltaFixture.Run(Device, chunked, shape, format, (0, rows));

        Assert.That(Enumerable.Range(0, y.Length).Where(i => float.IsNaN(y[i])), Is.EqualTo(new[] { 16 + 5, 32 + 5 }));
        Assert.That(Enumerable.Range(0, 256).Where(i => float.IsNaN(state[0][i])), Is.EqualTo(Enumerable.Range(5 * 16, 16)));
    }

    // What a wrong index would do: another column's value, the next sixteen keys, another row's gates.
    [TestCase("value")]
    [TestCase("keys")]
    [TestCase("decay")]
    [TestCase("rate")]
    public void ToleranceNoticesAWrongIndex(string operand)
    {
        var shape = new DeltaShape(1, 3, 128, 32);
        var rows = new DeltaSequence(shape, 40, 11);
        (double[] expected, _) = rows.Reference(3);
        int row = 37 * shape.Channels;
        int v = row + (2 * shape.KeyChannels);
        switch (operand)
        {
            case "value":
                (rows.Qkv[v + 2], rows.Qkv[v + 3]) = (rows.Qkv[v + 3], rows.Qkv[v + 2]);
                break;
            case "keys":
                Array.Copy(rows.Qkv, row + shape.KeyChannels, rows.Qkv, row + shape.KeyChannels + 16, 16);
                break;
            case "decay":
                rows.G[37 * 3] = rows.G[36 * 3];
                break;
            default:
                rows.Beta[37 * 3] = rows.Beta[36 * 3];
                break;
        }

        (float[] y, _) = DeltaFixture.Run(Device, chunked: false, shape, (3, rows));

        Assert.That(y.Zip(expected, (a, b) => Math.Abs(a - b)).Max(), Is.GreaterThan(10 * RecurrentTolerance));
    }

    [Test]
    public void DecodesAfterPartialChunk()
    {
        var shape = new DeltaShape(1, 3, 16, 16);
        var whole = new DeltaSequence(shape, 80, 77);
        (float[] prompt, float[][] state) = DeltaFixture.Run(Device, chunked: true, shape, (0, whole.Slice(0, 69, whole.State)));

        var y = new List<float>(prompt);
        for (int t = 69; t < whole.Rows; t++)
        {
            (float[] row, state) = DeltaFixture.Run(Device, chunked: false, shape, (t, whole.Slice(t, 1, state[0])));
            y.AddRange(row);
        }

        (double[] expected, double[] expectedState) = whole.Reference(0);
        AssertClose([.. y], expected, ChunkedTolerance);
        AssertClose(state[0], expectedState, ChunkedTolerance);
    }

    // Without decay and with keys all alike, A is as far from zero as it gets and nothing old is forgotten.
    [TestCase(0)]
    [TestCase(-200)]
    public void HoldsAtExtremeDecay(float g)
    {
        var sequence = new DeltaSequence(Small, 130, 3);
        Array.Fill(sequence.G, g);
        Array.Fill(sequence.Beta, 1f);
        for (int t = 1; t < sequence.Rows; t++)
            Array.Copy(sequence.Qkv, Small.KeyChannels, sequence.Qkv, (t * Small.Channels) + Small.KeyChannels, Small.KeyChannels);

        (float[] y, float[][] state) = DeltaFixture.Run(Device, chunked: true, Small, (0, sequence));

        (double[] expected, double[] expectedState) = sequence.Reference(0);
        AssertClose(y, expected, ChunkedTolerance);
        AssertClose(state[0], expectedState, ChunkedTolerance);
    }

    private static void MatchesReferenceAt(bool chunked, DeltaShape shape, int rows, int position)
    {
        var sequence = new DeltaSequence(shape, rows, rows + position + shape.Channels);

        (float[] y, float[][] state) = DeltaFixture.Run(Device, chunked, shape, (position, sequence));

        (double[] expected, double[] expectedState) = sequence.Reference(position);
        AssertClose(y, expected, chunked ? ChunkedTolerance : RecurrentTolerance);
        AssertClose(state[0], expectedState, chunked ? ChunkedTolerance : RecurrentTolerance);
    }
}
