using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

internal sealed class RmsNormTests(Shares shares) : ShareTests(shares)
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
        float[] x = RandomFloats(rows + columns, rows * columns, 2);
        float[] weight = RandomFloats(columns, columns);
        Matrix<float> y = Device.Poisoned<float>(rows, columns);

        Device.Run(RmsNorm.Bind(Device.Loader, Device.Upload(x, rows, columns), Device.Upload(weight), y, Eps));

        AssertClose(Device.Download(y), RmsNormReference.Run(ToDouble(x), ToDouble(weight), rows, Eps), Tolerance);
    }

    [TestCase(4, 251)]
    [TestCase(1, 5120)]
    public void AddsBranchBeforeNorm(int rows, int columns)
    {
        float[] x = RandomFloats(rows + columns, rows * columns, 2);
        float[] branch = RandomFloats(rows - columns, rows * columns);
        float[] weight = RandomFloats(columns, columns);
        Matrix<float> sum = Device.Poisoned<float>(rows, columns);
        Matrix<float> y = Device.Poisoned<float>(rows, columns);

        Device.Run(RmsNorm.BindAdd(
            Device.Loader, Device.Upload(x, rows, columns), Device.Upload(branch, rows, columns), Device.Upload(weight), sum, y, Eps));

        float[] expectedSum = x.Zip(branch, (a, b) => a + b).ToArray();
        Assert.That(Device.Download(sum), Is.EqualTo(expectedSum));
        AssertClose(Device.Download(y), RmsNormReference.Run(ToDouble(expectedSum), ToDouble(weight), rows, Eps), Tolerance);
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
