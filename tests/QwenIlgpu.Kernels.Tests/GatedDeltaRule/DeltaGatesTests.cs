using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

internal sealed class DeltaGatesTests(PortableTier tier) : PortableTests(tier)
{
    // Relative, of beta and g: exponentials at arguments up to 40 are good to 40 · 2^-24 = 2.4e-6 where they are made by exp2.
    private const double Tolerance = 4e-6;

    [TestCase(1, 1)]
    [TestCase(5, 3)]
    [TestCase(7, 48)]
    public void MatchesReference(int rows, int heads)
    {
        float[] b = Seeded.Floats(rows, rows * heads, 6);
        float[] a = Seeded.Floats(heads, rows * heads, 6);
        float[] aLog = Seeded.Floats(rows + heads, heads, 2);
        float[] dtBias = Seeded.Floats(rows - heads, heads, 3);

        (float[] beta, float[] g) = Run(b, a, aLog, dtBias);

        AssertRelative(beta, g, DeltaGatesReference.Run(Seeded.ToDouble(b), Seeded.ToDouble(a), Seeded.ToDouble(aLog), Seeded.ToDouble(dtBias)));
    }

    [Test]
    public void KeepsPrecisionAtLargeArguments()
    {
        float[] a = [-40, -20, -15.5f, -10, -8, -1e-3f, 0, 1e-3f, 3, 10, 15.5f, 20, 40, 80];
        float[] b = [-40, -20, -15.5f, -10, -8, -1e-3f, 0, 1e-3f, 3, 10, 15.5f, 20, 40, 80];

        (float[] beta, float[] g) = Run(b, a, [0.25f], [0]);

        AssertRelative(beta, g, DeltaGatesReference.Run(Seeded.ToDouble(b), Seeded.ToDouble(a), [0.25], [0]));
    }

    [Test]
    public void StaysFiniteAtTheLimits()
    {
        (float[] beta, float[] g) = Run([-1e4f, 1e4f], [-1e4f, 1e4f], [0], [0]);

        Assert.That(beta, Is.EqualTo(new float[] { 0, 1 }));
        Assert.That(g, Is.EqualTo(new float[] { 0, -1e4f }));
    }

    [Test]
    public void NeitherPartsNorOtherRowsChangeARow([Values(1, 4, 7)] int rows, [Values(3, 16, 48)] int heads)
    {
        float[] b = Seeded.Floats(rows, rows * heads, 6);
        float[] a = Seeded.Floats(heads, rows * heads, 6);
        float[] aLog = Seeded.Floats(rows + heads, heads, 2);
        float[] dtBias = Seeded.Floats(rows - heads, heads, 3);
        Matrix<float> beta = default;
        Matrix<float> g = default;

        float[] together = RunInParts(
            () =>
            {
                beta = Device.Upload(b, rows, heads);
                g = Device.Upload(a, rows, heads);
                return [DeltaGates.Bind(Device.Loader, beta, g, Device.Upload(aLog), Device.Upload(dtBias), beta, g)];
            },
            () => (float[])[.. Device.Download(beta), .. Device.Download(g)]);

        (float[] lastBeta, float[] lastG) = Run(b[^heads..], a[^heads..], aLog, dtBias);
        Assert.That(together[((rows - 1) * heads)..(rows * heads)], Is.EqualTo(lastBeta));
        Assert.That(together[^heads..], Is.EqualTo(lastG));
    }

    [Test]
    public void ToleranceNoticesTheNextHead()
    {
        float[] aLog = Seeded.Floats(1, 20, 2);
        float[] dtBias = Seeded.Floats(2, 20, 3);
        float[] a = Seeded.Floats(3, 20, 6);
        (_, double[] expected) = DeltaGatesReference.Run(Seeded.ToDouble(a), Seeded.ToDouble(a), Seeded.ToDouble(aLog), Seeded.ToDouble(dtBias));

        (_, float[] g) = Run(a, a, [.. aLog[1..], aLog[0]], dtBias);
        (_, float[] shifted) = Run(a, a, aLog, [.. dtBias[1..], dtBias[0]]);

        Assert.That(g.Zip(expected, (x, y) => Math.Abs((x / y) - 1)).Max(), Is.GreaterThan(10 * Tolerance));
        Assert.That(shifted.Zip(expected, (x, y) => Math.Abs((x / y) - 1)).Max(), Is.GreaterThan(10 * Tolerance));
    }

    [Test]
    public void NaNStaysNaN()
    {
        (float[] beta, float[] g) = Run([float.NaN, 1], [float.NaN, 1], [0, 0], [0, 0]);

        Assert.That(new[] { float.IsNaN(beta[0]), float.IsNaN(g[0]), float.IsNaN(beta[1]), float.IsNaN(g[1]) }, Is.EqualTo(new[] { true, true, false, false }));
    }

    [Test]
    public void RejectsGatesOfAnotherWidth()
    {
        Matrix<float> b = Device.Poisoned<float>(2, 6);
        ArrayView<float> six = Device.Poisoned<float>(6);

        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            DeltaGates.Bind(Device.Loader, b, Device.Poisoned<float>(2, 5), six, six, b, b))!;
        ArgumentException bias = Assert.Throws<ArgumentException>(() =>
            DeltaGates.Bind(Device.Loader, b, b, six, Device.Poisoned<float>(7), b, b))!;

        Assert.That(error.Message, Is.EqualTo("delta_gates: columns of a is 5, columns of b is 6"));
        Assert.That(bias.Message, Is.EqualTo("delta_gates: length of dtBias is 7, columns of b is 6"));
    }

    private static (float[] Beta, float[] G) Run(float[] b, float[] a, float[] aLog, float[] dtBias)
    {
        int heads = aLog.Length;
        int rows = b.Length / heads;
        Matrix<float> beta = Device.Poisoned<float>(rows, heads);
        Matrix<float> g = Device.Poisoned<float>(rows, heads);
        Device.Run(DeltaGates.Bind(
            Device.Loader,
            Device.Upload(b, rows, heads),
            Device.Upload(a, rows, heads),
            Device.Upload(aLog),
            Device.Upload(dtBias),
            beta,
            g));
        return (Device.Download(beta), Device.Download(g));
    }

    private static void AssertRelative(float[] beta, float[] g, (double[] Beta, double[] G) expected)
    {
        double[] ones = [.. Enumerable.Repeat(1.0, beta.Length)];
        AssertClose([.. beta.Zip(expected.Beta, (x, y) => (float)(x / y))], ones, Tolerance);
        AssertClose([.. g.Zip(expected.G, (x, y) => (float)(x / y))], ones, Tolerance);
    }
}
