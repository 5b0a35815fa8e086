using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

[PortableTiers(PortableTier.Loops, PortableTier.Ptx)]
internal sealed class RotaryTableTests(PortableTier tier) : PortableTests(tier)
{
    private const int RotaryDim = 64;
    private const double Theta = 1e7;

    // In units of 2^-25, half a last place of a number below 1: 2√2 from the four rounded table entries, 2 from the two products,
    // 1 from their sum.
    private const double Tolerance = 5.83 / (1 << 25);

    [Test]
    public void StaysWithinItsErrorBoundUpToTheLastPosition()
    {
        const int Positions = 262144;
        var random = new Random(1);
        int[] positions = [0, 1, 511, 512, 513, 65535, 65536, 261632, 262142, 262143, .. Enumerable.Range(0, 2000).Select(_ => random.Next(Positions))];

        (float[] cos, float[] sin) = Rotations(RotaryTable.Build(Positions, RotaryDim, Theta), positions);

        AssertClose(cos, Expected(positions, Math.Cos), Tolerance);
        AssertClose(sin, Expected(positions, Math.Sin), Tolerance);
    }

    [Test]
    public void CoversPositionsThatFillNoBlock()
    {
        int[] positions = [0, 511, 512, 516];

        (float[] cos, _) = Rotations(RotaryTable.Build(517, RotaryDim, Theta), positions);

        AssertClose(cos, Expected(positions, Math.Cos), Tolerance);
    }

    // Of the published models at factor 4 the pairs 0 to 14 keep their frequency, and those from 22 on have a quarter of it.
    [Test]
    public void StretchesTheModelsContext()
    {
        double[] slowdowns = new YarnScaling(4, 262144).Slowdowns(RotaryDim, Theta);

        Assert.That(slowdowns[..15], Is.All.EqualTo(1));
        Assert.That(slowdowns[22..], Is.All.EqualTo(0.25));
        Assert.That(slowdowns[15..22], Is.Ordered.Descending.And.All.InRange(0.26, 0.95));
        Assert.That(new YarnScaling(4, 262144).AttentionFactor, Is.EqualTo(1.138629).Within(1e-6));
    }

    // A ramp of whole indices or not, of other turns, of a context so short that no pair turns, and so that first and last pair meet.
    [TestCase(4, 262144, 32, 1, true)]
    [TestCase(4, 262144, 32, 1, false)]
    [TestCase(16, 4096, 8, 2.5, false)]
    [TestCase(2, 1, 32, 1, true)]
    [TestCase(3, 100, 5, 5, false)]
    public void PairsTurnAsYarnDefines(double factor, int original, double betaFast, double betaSlow, bool truncate)
    {
        var yarn = new YarnScaling(factor, original) { BetaFast = betaFast, BetaSlow = betaSlow, Truncate = truncate };

        double[] frequencies = [.. yarn.Slowdowns(RotaryDim, Theta).Select((s, i) => s * Math.Pow(Theta, -2.0 * i / RotaryDim))];

        double[] expected =
            [.. Enumerable.Range(0, RotaryDim / 2).Select(i => YarnDefinition.Frequency(i, RotaryDim, Theta, factor, original, betaFast, betaSlow, truncate))];
        Assert.That(frequencies.Zip(expected, (f, e) => (f / e) - 1), Is.All.InRange(-1e-9, 1e-9));
    }

    [Test]
    public void YarnTurnsAndStretchesUpToTheLastPosition()
    {
        const int Positions = 1 << 20;
        var yarn = new YarnScaling(4, 262144) { AttentionFactor = 1.25 };
        var random = new Random(2);
        int[] positions = [0, 1, 511, 512, 262143, 262144, Positions - 2, Positions - 1, .. Enumerable.Range(0, 300).Select(_ => random.Next(Positions))];

        (float[] cos, float[] sin) = Rotations(RotaryTable.Build(Positions, RotaryDim, Theta, yarn), positions);

        double[] angles = [.. positions.SelectMany(p => Enumerable.Range(0, RotaryDim / 2).Select(i => p * YarnDefinition.Frequency(i, RotaryDim, Theta, 4, 262144)))];
        AssertClose(cos, [.. angles.Select(a => 1.25 * Math.Cos(a))], 1.25 * Tolerance);
        AssertClose(sin, [.. angles.Select(a => 1.25 * Math.Sin(a))], 1.25 * Tolerance);
    }

    [Test]
    public void YarnOfFactorOneIsThePlainTable()
    {
        float[][] plain = TablesOf(RotaryTable.Build(1000, RotaryDim, Theta));

        Assert.That(TablesOf(RotaryTable.Build(1000, RotaryDim, Theta, new YarnScaling(1, 1000))), Is.EqualTo(plain));
        Assert.That(TablesOf(RotaryTable.Build(1000, RotaryDim, Theta, new YarnScaling(2, 1000))), Is.Not.EqualTo(plain));
    }

    [TestCase(0, 64, 1e7, "rotary_table: positions is 0, at least 1 is needed")]
    [TestCase(8, 63, 1e7, "rotary_table: rotaryDim is 63, it must be even and positive")]
    [TestCase(8, 64, 0, "rotary_table: theta is 0, it must be positive and finite")]
    public void RejectsWhatHasNoRotation(int positions, int rotaryDim, double theta, string message)
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() => RotaryTable.Build(positions, rotaryDim, theta))!;

        Assert.That(error.Message, Is.EqualTo(message));
        Assert.That(
            Assert.Throws<ArgumentException>(() => RotaryTable.Build(8, 64, 1, new YarnScaling(2, 8)))!.Message,
            Is.EqualTo("rotary_table: theta is 1, with YaRN it must be above 1"));
    }

    private static float[][] TablesOf(RotaryTable table)
    {
        List<float[]> tables = [];
        _ = table.Upload(values =>
        {
            tables.Add(values);
            return Device.Upload(values);
        });
        return [.. tables];
    }

    // Keys that the norm leaves alone (their mean square is 1, weight 0, eps 0) and whose pairs are (1, 0) turn into (cos, sin).
    private static (float[] Cos, float[] Sin) Rotations(RotaryTable table, int[] positions)
    {
        const int Half = RotaryDim / 2;
        const int HeadDim = 128;
        float[] head = [.. Enumerable.Repeat(1f, Half), .. new float[Half], .. Enumerable.Repeat(2f, 24), .. new float[HeadDim - RotaryDim - 24]];
        float[] k = [.. positions.SelectMany(_ => head)];
        Matrix<float> keys = Device.Upload(k, positions.Length, HeadDim);
        Matrix<float> queries = Device.Upload(new float[positions.Length * 2 * HeadDim], positions.Length, 2 * HeadDim);
        ArrayView<float> weight = Device.Upload(new float[HeadDim]);

        Device.Run(QkNormRotary.Bind(
            Device.Loader, queries, keys, 1, 1, HeadDim, new QkNormWeights(weight, weight, table.Upload(Device.Upload), 0), Device.Upload(positions)));

        float[] turned = Device.Download(keys);
        float[] cos = [.. positions.SelectMany((_, row) => turned.Skip(row * HeadDim).Take(Half))];
        float[] sin = [.. positions.SelectMany((_, row) => turned.Skip((row * HeadDim) + Half).Take(Half))];
        return (cos, sin);
    }

    private static double[] Expected(int[] positions, Func<double, double> function) =>
        [.. positions.SelectMany(p => Enumerable.Range(0, RotaryDim / 2).Select(i => function(p * Math.Pow(Theta, -2.0 * i / RotaryDim))))];
}
