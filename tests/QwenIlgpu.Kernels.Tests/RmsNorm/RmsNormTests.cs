using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

internal sealed class RmsNormTests(PortableTier tier) : PortableTests(tier)
{
    private const float Eps = 1e-6f;

    // Sums of up to 5120 squares in float: relative error below 5120 · 2^-24 / 2 = 1.5e-4 of an output of about 4, worst case; 1e-5 is met.
    private const double Tolerance = 1e-5;

    [TestCase(1, 1)]
    [TestCase(3, 17)]
    [TestCase(5, 256)]
    [TestCase(2, 5120)]
    public void MatchesReference(int rows, int columns)
    {
        float[] x = Seeded.Floats(rows + columns, rows * columns, 2);
        float[] weight = Seeded.Floats(columns, columns);
        Matrix<float> y = Device.Poisoned<float>(rows, columns);

        Device.Run(RmsNorm.Bind(Device.Loader, Device.Upload(x, rows, columns), Device.Upload(weight), y, Eps));

        AssertClose(Device.Download(y), RmsNormReference.Run(Seeded.ToDouble(x), Seeded.ToDouble(weight), rows, Eps), Tolerance);
    }

    [TestCase(4, 251)]
    [TestCase(1, 5120)]
    public void AddsBranchBeforeNorm(int rows, int columns)
    {
        float[] x = Seeded.Floats(rows + columns, rows * columns, 2);
        float[] branch = Seeded.Floats(rows - columns, rows * columns);
        float[] weight = Seeded.Floats(columns, columns);
        Matrix<float> sum = Device.Poisoned<float>(rows, columns);
        Matrix<float> y = Device.Poisoned<float>(rows, columns);

        Device.Run(RmsNorm.BindAdd(
            Device.Loader, Device.Upload(x, rows, columns), Device.Upload(branch, rows, columns), Device.Upload(weight), sum, y, Eps));

        float[] expectedSum = x.Zip(branch, (a, b) => a + b).ToArray();
        Assert.That(Device.Download(sum), Is.EqualTo(expectedSum));
        AssertClose(Device.Download(y), RmsNormReference.Run(Seeded.ToDouble(expectedSum), Seeded.ToDouble(weight), rows, Eps), Tolerance);
    }

    [TestCase(1)]
    [TestCase(4)]
    [TestCase(7)]
    public void KeepsRowsAndPartsApart(int rows)
    {
        const int Columns = 1027;
        float[] x = Seeded.Floats(rows, rows * Columns, 2);
        float[] branch = Seeded.Floats(rows + 1, rows * Columns);
        float[] weight = Seeded.Floats(3, Columns);
        Matrix<float> y = default;
        Matrix<float> norm = default;

        float[] together = RunInParts<float>(() => Bind(x, branch, rows), () => [.. Device.Download(norm), .. Device.Download(y)]);

        for (int row = 0; row < rows; row++)
        {
            Device.Run(Bind(RowOf(x, row), RowOf(branch, row), 1));
            Assert.That(Device.Download(norm), Is.EqualTo(RowOf(together, row)), $"row {row} of the norm");
            Assert.That(Device.Download(y), Is.EqualTo(RowOf(together, rows + row)), $"row {row} behind the addition");
        }

        Launch[] Bind(float[] x, float[] branch, int rows)
        {
            norm = Device.Poisoned<float>(rows, Columns);
            y = Device.Poisoned<float>(rows, Columns);
            Matrix<float> xOnDevice = Device.Upload(x, rows, Columns);
            return
            [
                RmsNorm.Bind(Device.Loader, xOnDevice, Device.Upload(weight), norm, Eps),
                RmsNorm.BindAdd(Device.Loader, xOnDevice, Device.Upload(branch, rows, Columns), Device.Upload(weight), xOnDevice, y, Eps),
            ];
        }

        static float[] RowOf(float[] values, int row) => values[(row * Columns)..((row + 1) * Columns)];
    }

    // What a share would give that leaves out a row's last columns, or reads a weight's neighbour.
    [Test]
    public void NoticesAMissingColumnAndAWrongWeight()
    {
        const int Columns = 251;
        float[] x = Seeded.Floats(1, Columns, 2);
        float[] weight = Seeded.Floats(2, Columns);
        Matrix<float> y = Device.Poisoned<float>(1, Columns);
        float[] cut = [.. x[..^11], .. new float[11]];
        float[] turned = [.. weight[1..], weight[0]];

        foreach ((float[] bentX, float[] bentWeight) in new[] { (cut, weight), (x, turned) })
        {
            Device.Run(RmsNorm.Bind(Device.Loader, Device.Upload(bentX, 1, Columns), Device.Upload(bentWeight), y, Eps));
            double[] expected = RmsNormReference.Run(Seeded.ToDouble(x), Seeded.ToDouble(weight), 1, Eps);
            Assert.That(Device.Download(y).Zip(expected, (a, e) => Math.Abs(a - e)).Take(200).Max(), Is.GreaterThan(10 * Tolerance));
        }
    }

    [Test]
    public void RejectsWeightOfAnotherWidth()
    {
        Matrix<float> x = Device.Poisoned<float>(2, 8);
        ArrayView<float> weight = Device.Poisoned<float>(7);

        ArgumentException error = Assert.Throws<ArgumentException>(() => RmsNorm.Bind(Device.Loader, x, weight, x, Eps))!;

        Assert.That(error.Message, Is.EqualTo("rms_norm: length of weight is 7, columns of x is 8"));
    }
}
