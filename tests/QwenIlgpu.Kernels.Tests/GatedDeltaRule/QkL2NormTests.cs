namespace QwenIlgpu.Kernels.Tests;

internal sealed class QkL2NormTests(PortableTier tier) : PortableTests(tier)
{
    // Sums of up to 256 squares in float, of vectors of length 1.
    private const double Tolerance = 1e-6;

    [TestCase(1, 1, 2, 3)]
    [TestCase(5, 3, 17, 11)]
    [TestCase(2, 16, 128, 6144)]
    [TestCase(3, 1, 256, 512)]
    public void MatchesReference(int rows, int keyHeads, int keyHeadDim, int values)
    {
        int channels = (2 * keyHeads * keyHeadDim) + values;
        float[] qkv = Seeded.Floats(rows + channels, rows * channels, 2);
        Matrix<float> actual = Device.Upload((float[])qkv.Clone(), rows, channels);

        Device.Run(QkL2Norm.Bind(Device.Loader, actual, keyHeads, keyHeadDim));

        double[] expected = QkL2NormReference.Run(Seeded.ToDouble(qkv), channels, keyHeads, keyHeadDim);
        AssertClose(Device.Download(actual), expected, Tolerance);
    }

    [Test]
    public void KeepsZerosAndTinyVectorsFinite()
    {
        float[] qkv = [0, 0, 0, 0, 1e-4f, 0, 0, 0, 7, 8];
        Matrix<float> actual = Device.Upload((float[])qkv.Clone(), 1, 10);

        Device.Run(QkL2Norm.Bind(Device.Loader, actual, 1, 4));

        AssertClose(Device.Download(actual), QkL2NormReference.Run(Seeded.ToDouble(qkv), 10, 1, 4), Tolerance);
    }

    [Test]
    public void NeitherPartsNorOtherRowsChangeARow([Values(1, 4, 7)] int rows, [Values(17, 40, 128)] int keyHeadDim)
    {
        int channels = (6 * keyHeadDim) + 5;
        float[] qkv = Seeded.Floats(rows + keyHeadDim, rows * channels, 2);
        Matrix<float> actual = default;

        float[] together = RunInParts(
            () => [QkL2Norm.Bind(Device.Loader, actual = Device.Upload((float[])qkv.Clone(), rows, channels), 3, keyHeadDim)],
            () => Device.Download(actual));

        Matrix<float> last = Device.Upload(qkv[^channels..], 1, channels);
        Device.Run(QkL2Norm.Bind(Device.Loader, last, 3, keyHeadDim));
        Assert.That(together[^channels..], Is.EqualTo(Device.Download(last)));
    }

    // As if the last value of a head were behind the last vector, or the next head's first within it.
    [Test]
    public void ToleranceNoticesAWrongEnd()
    {
        float[] qkv = Seeded.Floats(1, 2 * 17, 2);
        double[] expected = QkL2NormReference.Run(Seeded.ToDouble(qkv), 34, 1, 17);
        float[] wrong = [.. qkv];
        wrong[16] = wrong[17];
        Matrix<float> actual = Device.Upload(wrong, 1, 34);

        Device.Run(QkL2Norm.Bind(Device.Loader, actual, 1, 17));

        Assert.That(Device.Download(actual).Take(16).Zip(expected, (a, b) => Math.Abs(a - b)).Max(), Is.GreaterThan(10 * Tolerance));
    }

    [Test]
    public void RejectsRowsWithoutRoomForTheHeads()
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            QkL2Norm.Bind(Device.Loader, Device.Poisoned<float>(2, 31), 2, 8))!;

        Assert.That(error.Message, Is.EqualTo("qk_l2_norm: columns of qkv are 31, too few for queries and keys of 2 heads of 8"));
    }
}
