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

    [TestCase(0, 64, 1e7, "rotary_table: positions is 0, at least 1 is needed")]
    [TestCase(8, 63, 1e7, "rotary_table: rotaryDim is 63, it must be even and positive")]
    [TestCase(8, 64, 0, "rotary_table: theta is 0, it must be positive and finite")]
    public void RejectsWhatHasNoRotation(int positions, int rotaryDim, double theta, string message)
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() => RotaryTable.Build(positions, rotaryDim, theta))!;

        Assert.That(error.Message, Is.EqualTo(message));
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
