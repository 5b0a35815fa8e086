using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

internal sealed class CausalConv1dTests(PortableTier tier) : PortableTests(tier)
{
    private const int Slots = 4;

    // Four products of magnitude up to 2 and one exponential: a few units of 2^-23 each.
    private const double Tolerance = 2e-6;

    [TestCase(1, 1, 4)]
    [TestCase(2, 17, 2)]
    [TestCase(5, 131, 3)]
    [TestCase(9, 640, 4)]
    [TestCase(3, 10240, 4)]
    public void MatchesReference(int rows, int channels, int taps)
    {
        float[] x = Seeded.Floats(rows + channels, rows * channels, 2);
        float[] weight = Seeded.Floats(channels, channels * taps);
        Matrix<float> ring = Device.Poisoned<float>(Slots, taps * channels);

        float[] y = Run(new PackedStep((2, 0, rows)), x, weight, channels, ring);

        AssertClose(y, CausalConv1dReference.Run(Seeded.ToDouble(x), Seeded.ToDouble(weight), channels), Tolerance);
    }

    [TestCase(1, 4)]
    [TestCase(2, 5)]
    [TestCase(3, 7)]
    [TestCase(7, 4)]
    [TestCase(7, 11)]
    public void CarriesRowsAcrossSteps(int rowsPerStep, int ringRows)
    {
        const int Rows = 17;
        const int Channels = 67;
        const int Taps = 4;
        float[] x = Seeded.Floats(rowsPerStep, Rows * Channels, 2);
        float[] weight = Seeded.Floats(4, Channels * Taps);
        Matrix<float> ring = Device.Poisoned<float>(Slots, ringRows * Channels);

        var y = new List<float>();
        for (int t = 0; t < Rows; t += rowsPerStep)
        {
            int rows = Math.Min(rowsPerStep, Rows - t);
            y.AddRange(Run(new PackedStep((1, t, rows)), x[(t * Channels)..((t + rows) * Channels)], weight, Channels, ring));
        }

        float[] whole = Run(new PackedStep((3, 0, Rows)), x, weight, Channels, ring);
        Assert.That(y, Is.EqualTo(whole));
        float[] kept = Device.Download(ring.Row(1));
        for (int position = Rows - ringRows; position < Rows; position++)
        {
            int place = position % ringRows * Channels;
            Assert.That(
                kept[place..(place + Channels)],
                Is.EqualTo(x[(position * Channels)..((position + 1) * Channels)]),
                $"position {position} lies at {position} % {ringRows}");
        }
    }

    // A second sequence in a used slot: its first rows must not see what the first one left.
    [TestCase(1)]
    [TestCase(2)]
    public void StartsFromZerosInAUsedSlot(int rowsPerStep)
    {
        const int Channels = 33;
        float[] x = Seeded.Floats(31, 6 * Channels, 2);
        float[] weight = Seeded.Floats(32, Channels * 4);
        Matrix<float> ring = Device.Poisoned<float>(1, 4 * Channels);

        var y = new List<float>();
        for (int t = 0; t < 6; t += rowsPerStep)
            y.AddRange(Run(new PackedStep((0, t, rowsPerStep)), x[(t * Channels)..((t + rowsPerStep) * Channels)], weight, Channels, ring));

        AssertClose([.. y], CausalConv1dReference.Run(Seeded.ToDouble(x), Seeded.ToDouble(weight), Channels), Tolerance);
    }

    [Test]
    public void KeepsSequencesApart()
    {
        const int Channels = 65;
        const int Taps = 4;
        float[] weight = Seeded.Floats(9, Channels * Taps);
        float[] rings = Seeded.Floats(10, Slots * Taps * Channels);
        var step = new PackedStep((3, 5, 2), (0, 0, 4), (2, 8, 0), (1, 64, 1));
        float[] x = Seeded.Floats(11, step.Rows * Channels, 2);
        Matrix<float> ring = Device.Upload([.. rings], Slots, Taps * Channels);

        float[] together = Run(step, x, weight, Channels, ring);

        Matrix<float> another = Device.Upload([.. rings], Slots, ring.Columns);
        float[] alone =
        [
            .. Run(new PackedStep((3, 5, 2)), x[..(2 * Channels)], weight, Channels, another),
            .. Run(new PackedStep((0, 0, 4)), x[(2 * Channels)..(6 * Channels)], weight, Channels, another),
            .. Run(new PackedStep((1, 64, 1)), x[(6 * Channels)..], weight, Channels, another),
        ];
        Assert.That(together, Is.EqualTo(alone));
        Assert.That(Device.Download(ring.Row(2)), Is.EqualTo(rings[(2 * ring.Columns)..(3 * ring.Columns)]), "a sequence without rows");
    }

    [Test]
    public void WorksInPlace()
    {
        const int Channels = 130;
        float[] x = Seeded.Floats(21, 5 * Channels, 2);
        float[] weight = Seeded.Floats(22, Channels * 4);
        Matrix<float> y = Device.Upload(x, 5, Channels);

        Device.Run(Bind(new PackedStep((0, 0, 5)), y, Device.Upload(weight, Channels, 4), Device.Poisoned<float>(1, 4 * Channels), y));

        AssertClose(Device.Download(y), CausalConv1dReference.Run(Seeded.ToDouble(x), Seeded.ToDouble(weight), Channels), Tolerance);
    }

    // Two sequences: one that begins, one that goes on two rows before a chunk's end and so has a row from the ring in its first snapshot.
    [TestCase(4)]
    [TestCase(6)]
    public void SnapshotIsTheRingOfAShorterSequence(int ringRows)
    {
        const int Channels = 67;
        var step = new PackedStep((1, 0, 130), (2, 62, 70));
        ChunkedRows rows = step.InChunks(Device, snapshotSlot: [3, -1, 4, 5, 6, -1]);
        Assert.That(Device.Download(rows.Chunks.FirstChunk), Is.EqualTo(new[] { 0, 3, 6 }));
        float[] x = Seeded.Floats(ringRows, step.Rows * Channels, 2);
        float[] before = Seeded.Floats(ringRows + 1, 62 * Channels, 2);
        float[] weight = Seeded.Floats(4, Channels * 4);
        Matrix<float> ring = Device.Poisoned<float>(7, ringRows * Channels);
        Run(new PackedStep((2, 0, 62)), before, weight, Channels, ring);
        Matrix<float> input = Device.Upload(x, step.Rows, Channels);

        Device.Run(CausalConv1d.BindSnapshot(Device.Loader, input, 4, ring, rows));
        Device.Run(Bind(step, input, Device.Upload(weight, Channels, 4), ring, Device.Poisoned<float>(step.Rows, Channels)));

        Check(3, x[..(64 * Channels)]);
        Check(4, x[..(130 * Channels)]);
        float[] second = [.. before, .. x[(130 * Channels)..]];
        Check(5, second[..(64 * Channels)]);
        Check(6, second[..(128 * Channels)]);
        Assert.That(Device.Download(ring.Row(0)), Has.All.NaN, "nobody's slot");

        void Check(int slot, float[] inputs)
        {
            int end = inputs.Length / Channels;
            float[] kept = Device.Download(ring.Row(slot));
            for (int position = end - 3; position < end; position++)
            {
                int place = position % ringRows * Channels;
                Assert.That(
                    kept[place..(place + Channels)], Is.EqualTo(inputs[(position * Channels)..((position + 1) * Channels)]),
                    $"slot {slot}, position {position}");
            }
        }
    }

    [Test]
    public void PartsOfThreadsChangeNothing([Values(67, 640, 1100)] int channels)
    {
        var step = new PackedStep((2, 61, 7), (1, 3, 0), (0, 0, 2));
        float[] rings = Seeded.Floats(41, 5 * 6 * channels);
        Matrix<float> x = Device.Upload(Seeded.Floats(42, step.Rows * channels, 2), step.Rows, channels);
        Matrix<float> weight = Device.Upload(Seeded.Floats(43, channels * 4), channels, 4);
        var chunks = new ChunkList(Device.Upload(0, 3, 7, 0), Device.Upload(3, 4, 2, 0), Device.Upload(0, 2, 2, 3));
        Matrix<float> y = default;
        Matrix<float> ring = default;

        RunInParts(
            () =>
            {
                y = Device.Poisoned<float>(step.Rows, channels);
                ring = Device.Upload([.. rings], 5, 6 * channels);
                return
                [
                    CausalConv1d.BindSnapshot(
                        Device.Loader, x, 4, ring, new ChunkedRows(step.On(Device), chunks, Device.Upload(3, -1, 4, -1))),
                    Bind(step, x, weight, ring, y),
                ];
            },
            () => (float[])[.. Device.Download(y), .. Device.Download(ring)]);
    }

    [TestCase(1)]
    [TestCase(4)]
    [TestCase(7)]
    public void RowsInStepsEqualOneStepInTiles(int rowsPerStep)
    {
        const int Channels = 700;
        const int Rows = 29;
        float[] x = Seeded.Floats(51, Rows * Channels, 2);
        float[] weight = Seeded.Floats(52, Channels * 4);
        Matrix<float> ring = Device.Poisoned<float>(2, 5 * Channels);
        float[] whole = Run(new PackedStep((0, 0, Rows)), x, weight, Channels, ring);

        var y = new List<float>();
        for (int t = 0; t < Rows; t += rowsPerStep)
        {
            int rows = Math.Min(rowsPerStep, Rows - t);
            y.AddRange(Run(new PackedStep((1, t, rows)), x[(t * Channels)..((t + rows) * Channels)], weight, Channels, ring));
        }

        Assert.That(y, Is.EqualTo(whole));
    }

    // What a wrong transposition of the taps would do, and a wrong row of the ring.
    [Test]
    public void ToleranceNoticesAWrongIndex()
    {
        const int Channels = 64;
        float[] x = Seeded.Floats(61, 5 * Channels, 2);
        float[] weight = Seeded.Floats(62, Channels * 4);
        double[] expected = CausalConv1dReference.Run(Seeded.ToDouble(x), Seeded.ToDouble(weight), Channels);
        float[] swapped = [.. weight];
        for (int tap = 0; tap < 4; tap++)
            (swapped[(20 * 4) + tap], swapped[(24 * 4) + tap]) = (weight[(24 * 4) + tap], weight[(20 * 4) + tap]);
        float[] shifted = [.. weight];
        (shifted[8], shifted[9]) = (weight[9], weight[8]);

        foreach (float[] wrong in new[] { swapped, shifted })
        {
            float[] y = Run(new PackedStep((0, 0, 5)), x, wrong, Channels, Device.Poisoned<float>(1, 4 * Channels));
            Assert.That(y.Zip(expected, (a, b) => Math.Abs(a - b)).Max(), Is.GreaterThan(10 * Tolerance));
        }
    }

    [TestCase(24)]
    [TestCase(36)]
    public void RejectsRingOfAnotherWidth(int columns)
    {
        Matrix<float> x = Device.Poisoned<float>(2, 8);

        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            Bind(new PackedStep((0, 0, 2)), x, Device.Poisoned<float>(8, 4), Device.Poisoned<float>(1, columns), x))!;

        Assert.That(
            error.Message,
            Is.EqualTo($"causal_conv1d: columns of ring are {columns}, not a multiple of 8 channels for at least 4 rows"));
    }

    [TestCase(1)]
    [TestCase(5)]
    public void RejectsOtherNumbersOfTaps(int taps)
    {
        Matrix<float> x = Device.Poisoned<float>(2, 8);

        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            Bind(new PackedStep((0, 0, 2)), x, Device.Poisoned<float>(8, taps), Device.Poisoned<float>(1, 40), x))!;

        Assert.That(error.Message, Is.EqualTo($"causal_conv1d: weight [8, {taps}] has {taps} taps, 2 to 4 are supported"));
    }

    [Test]
    public void RejectsFirstRowsOfAnotherBatch()
    {
        Matrix<float> x = Device.Poisoned<float>(2, 8);

        ArgumentException error = Assert.Throws<ArgumentException>(() => CausalConv1d.Bind(
            Device.Loader,
            x,
            Device.Poisoned<float>(8, 4),
            Device.Poisoned<float>(1, 40),
            new SlotRows(Device.Upload(0, 1), Device.Upload(0, 1), Device.Upload(0, 0)),
            x))!;

        Assert.That(error.Message, Is.EqualTo("causal_conv1d: length of firstRow is 2, sequences + 1 is 3"));
    }

    private static float[] Run(PackedStep step, float[] x, float[] weight, int channels, Matrix<float> ring)
    {
        Matrix<float> y = Device.Poisoned<float>(step.Rows, channels);
        Device.Run(Bind(
            step, Device.Upload(x, step.Rows, channels), Device.Upload(weight, channels, weight.Length / channels), ring, y));
        return Device.Download(y);
    }

    private static Launch Bind(PackedStep step, Matrix<float> x, Matrix<float> weight, Matrix<float> ring, Matrix<float> y) =>
        CausalConv1d.Bind(Device.Loader, x, weight, ring, step.On(Device), y);
}
