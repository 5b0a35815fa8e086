namespace QwenIlgpu.Kernels.Tests;

internal sealed class QkL2NormTests(Shares shares) : ShareTests(shares)
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
        float[] qkv = RandomFloats(rows + channels, rows * channels, 2);
        Matrix<float> actual = Device.Upload((float[])qkv.Clone(), rows, channels);

        Device.Run(QkL2Norm.Bind(Device.Loader, actual, keyHeads, keyHeadDim));

        double[] expected = QkL2NormReference.Run(ToDouble(qkv), channels, keyHeads, keyHeadDim);
        AssertClose(Device.Download(actual), expected, Tolerance);
    }

    [Test]
    public void KeepsZerosAndTinyVectorsFinite()
    {
        float[] qkv = [0, 0, 0, 0, 1e-4f, 0, 0, 0, 7, 8];
        Matrix<float> actual = Device.Upload((float[])qkv.Clone(), 1, 10);

        Device.Run(QkL2Norm.Bind(Device.Loader, actual, 1, 4));

        AssertClose(Device.Download(actual), QkL2NormReference.Run(ToDouble(qkv), 10, 1, 4), Tolerance);
    }

    [Test]
    public void RejectsRowsWithoutRoomForTheHeads()
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            QkL2Norm.Bind(Device.Loader, Device.Poisoned<float>(2, 31), 2, 8))!;

        Assert.That(error.Message, Is.EqualTo("qk_l2_norm: columns of qkv are 31, too few for queries and keys of 2 heads of 8"));
    }
}
