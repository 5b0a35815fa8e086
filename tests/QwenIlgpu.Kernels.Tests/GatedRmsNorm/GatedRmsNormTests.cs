namespace QwenIlgpu.Kernels.Tests;

internal sealed class GatedRmsNormTests(PortableTier tier) : PortableTests(tier)
{
    private const float Eps = 1e-6f;

    // Outputs up to about 3 · 2 · 4 with a few roundings of 2^-24 each.
    private const double Tolerance = 1e-5;

    [TestCase(1, 1, 2)]
    [TestCase(3, 5, 17)]
    [TestCase(2, 48, 128)]
    public void MatchesReference(int rows, int heads, int headDim)
    {
        float[] x = Seeded.Floats(rows + headDim, rows * heads * headDim, 2);
        float[] z = Seeded.Floats(heads + headDim, rows * heads * headDim, 4);
        float[] weight = Seeded.Floats(headDim, headDim, 2);
        Matrix<float> y = Device.Poisoned<float>(rows, heads * headDim);

        Device.Run(GatedRmsNorm.Bind(
            Device.Loader, Device.Upload(x, rows, y.Columns), Device.Upload(z, rows, y.Columns), Device.Upload(weight), headDim, y, Eps));

        AssertClose(Device.Download(y), GatedRmsNormReference.Run(Seeded.ToDouble(x), Seeded.ToDouble(z), Seeded.ToDouble(weight), Eps), Tolerance);
    }

    [Test]
    public void WorksInPlace()
    {
        float[] x = Seeded.Floats(1, 4 * 32, 2);
        float[] z = [.. Seeded.Floats(2, 4 * 32 - 2, 4), 200, -200];
        float[] weight = Seeded.Floats(3, 16);
        Matrix<float> y = Device.Upload((float[])x.Clone(), 4, 32);

        Device.Run(GatedRmsNorm.Bind(Device.Loader, y, Device.Upload(z, 4, 32), Device.Upload(weight), 16, y, Eps));

        AssertClose(Device.Download(y), GatedRmsNormReference.Run(Seeded.ToDouble(x), Seeded.ToDouble(z), Seeded.ToDouble(weight), Eps), 20 * Tolerance);
    }

    [Test]
    public void NeitherPartsNorOtherRowsChangeARow([Values(1, 4, 7)] int rows, [Values(17, 40, 128)] int headDim)
    {
        int columns = 3 * headDim;
        float[] x = Seeded.Floats(rows, rows * columns, 2);
        float[] z = Seeded.Floats(headDim, rows * columns, 4);
        float[] weight = Seeded.Floats(rows + headDim, headDim, 2);
        Matrix<float> y = default;

        float[] together = RunInParts(() => [Bind(rows, x, z, y = Device.Poisoned<float>(rows, columns))], () => Device.Download(y));

        Matrix<float> last = Device.Poisoned<float>(1, columns);
        Device.Run(Bind(1, x[^columns..], z[^columns..], last));
        Assert.That(together[^columns..], Is.EqualTo(Device.Download(last)));

        Launch Bind(int count, float[] some, float[] gates, Matrix<float> to) => GatedRmsNorm.Bind(
            Device.Loader, Device.Upload(some, count, columns), Device.Upload(gates, count, columns), Device.Upload(weight), headDim, to, Eps);
    }

    [Test]
    public void ToleranceNoticesTheNextWeight()
    {
        float[] x = Seeded.Floats(1, 64, 2);
        float[] z = Seeded.Floats(2, 64, 4);
        float[] weight = Seeded.Floats(3, 32, 2);
        Matrix<float> y = Device.Poisoned<float>(2, 32);

        Device.Run(GatedRmsNorm.Bind(
            Device.Loader, Device.Upload(x, 2, 32), Device.Upload(z, 2, 32), Device.Upload<float>([.. weight[1..], weight[0]]), 32, y, Eps));

        double[] expected = GatedRmsNormReference.Run(Seeded.ToDouble(x), Seeded.ToDouble(z), Seeded.ToDouble(weight), Eps);
        Assert.That(Device.Download(y).Zip(expected, (a, b) => Math.Abs(a - b)).Max(), Is.GreaterThan(10 * Tolerance));
    }

    [Test]
    public void RejectsWidthThatHeadsDoNotFill()
    {
        Matrix<float> x = Device.Poisoned<float>(2, 8);

        ArgumentException heads = Assert.Throws<ArgumentException>(() =>
            GatedRmsNorm.Bind(Device.Loader, x, x, Device.Poisoned<float>(3), 3, x, Eps))!;
        ArgumentException weight = Assert.Throws<ArgumentException>(() =>
            GatedRmsNorm.Bind(Device.Loader, x, x, Device.Poisoned<float>(3), 4, x, Eps))!;
        ArgumentException gate = Assert.Throws<ArgumentException>(() =>
            GatedRmsNorm.Bind(Device.Loader, x, Device.Poisoned<float>(1, 8), Device.Poisoned<float>(4), 4, x, Eps))!;

        Assert.That(heads.Message, Is.EqualTo("gated_rms_norm: columns of x are 8, not a multiple of the head size 3"));
        Assert.That(weight.Message, Is.EqualTo("gated_rms_norm: length of weight is 3, the head size is 4"));
        Assert.That(gate.Message, Is.EqualTo("gated_rms_norm: rows of z is 1, rows of x is 2"));
    }
}
